"""What the sandbox's Cloud Run knows: services, revisions and traffic, as plain data.

The words are those of the Cloud Run Admin API v2; the two dialects (v2, and the v1 that gcloud speaks) are
rendered from this one state. Only `sandbox.platform.control_plane` changes it.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

_NUMBERED = re.compile(r"-(\d{5})-[a-z0-9]{3}$")


@dataclass(frozen=True, slots=True)
class TrafficTarget:
    """One line of a traffic split. `revision` is a short name; `None` follows the latest ready revision."""

    revision: str | None
    percent: int
    tag: str = ""


ALL_TO_LATEST = TrafficTarget(revision=None, percent=100)


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """What each instance gets, and how many there may be."""

    cpu: str = "1"
    memory: str = "512Mi"
    min_instances: int = 1
    max_instances: int = 20


USUAL = ContainerResources()


@dataclass(slots=True)
class Revision:
    """An immutable deployment of the service; `faults` is what the sandbox planted in it."""

    name: str
    service: str
    created: datetime
    image: str
    commit: str
    faults: frozenset[str] = frozenset()
    ready: bool = False
    failure: str = ""  # why it never became ready; empty while it starts and once it is ready
    retired: datetime | None = None  # when it last stopped receiving traffic
    resources: ContainerResources = USUAL

    @property
    def refusal(self) -> str:
        """Why it cannot serve, if it cannot."""
        return f"Revision '{self.name}' is not ready and cannot serve traffic. {self.failure}".rstrip()


def revision_name(service: str, number: int) -> str:
    """A name as Cloud Run gives them out."""
    return f"{service}-{number:05}-{''.join(random.choices(string.ascii_lowercase, k=3))}"


def new_image() -> str:
    """The image of a build."""
    return f"us-docker.pkg.dev/sandbox-project/bayit/backend@sha256:{secrets.token_hex(32)}"


def new_etag() -> str:
    """An etag, of whose value the quotes are a part, as in Cloud Run."""
    return f'"{secrets.token_urlsafe(12)}"'


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class CloudRunService:
    """A service with the traffic that was asked for (`traffic`) and the traffic that flows (`targets`, `serving`)."""

    name: str
    environment: str  # "staging" or "production"
    url: str = ""
    urls: tuple[str, ...] = ()  # all of them, without the tags'
    uid: str = field(default_factory=lambda: str(uuid4()))
    created: datetime = field(default_factory=_now)
    updated: datetime = field(default_factory=_now)
    traffic: list[TrafficTarget] = field(default_factory=lambda: [ALL_TO_LATEST])
    targets: list[TrafficTarget] = field(default_factory=list)  # those in force
    serving: list[TrafficTarget] = field(default_factory=list)  # the same resolved: every revision is named
    revisions: dict[str, Revision] = field(default_factory=dict)  # in order of creation
    latest_created: str = ""
    latest_ready: str = ""
    generation: int = 1
    observed_generation: int = 1
    etag: str = field(default_factory=new_etag)
    reconciling: bool = False
    failure: str = ""  # the terminal condition's message when the last change failed
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    deployments: list[Rollout] = field(default_factory=list)
    moves: int = 0  # how often its users were sent elsewhere, releases included; a tag moves nobody
    last_operation: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by the operation that takes effect

    def shares(self) -> dict[str | None, int]:
        """The percentage of its users that each revision has."""
        found: Counter[str | None] = Counter()
        for line in self.serving:
            found[line.revision] += line.percent
        return +found

    def active(self) -> set[str | None]:
        """The revisions that somebody can reach: by traffic, or by a tag."""
        return {line.revision for line in self.serving if line.percent > 0 or line.tag}

    def retire_idle(self) -> None:
        """Note which revisions stopped receiving traffic, and which receive it again."""
        active = self.active()
        for revision in self.revisions.values():
            if revision.name in active:
                revision.retired = None
            elif revision.ready and revision.retired is None:
                revision.retired = _now()

    def touch(self) -> None:
        """Note that it changed."""
        self.updated, self.etag = _now(), new_etag()

    def next_revision_name(self) -> str:
        """A name for a new revision, in the series that Cloud Run numbers."""
        numbers = [int(found[1]) for name in self.revisions if (found := _NUMBERED.search(name))]
        return revision_name(self.name, max(numbers, default=0) + 1)


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a deploy workflow would note down: which revision served before, and which serves now."""

    at: datetime
    previous: str
    current: str
    commit: str

    def as_json(self) -> dict[str, str]:
        """The form it has in an answer; the time in ISO 8601."""
        return {"previous": self.previous, "current": self.current, "commit": self.commit, "at": self.at.isoformat()}
