"""What the sandbox's Cloud Run knows: services, revisions and traffic, as plain data.

The words are those of the Cloud Run Admin API v2; the two dialects (v2, and the v1 that gcloud speaks) are
rendered from this one state. Only `sandbox.platform.control_plane` changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Traffic:
    """One line of a traffic split. `revision` is a short name; `None` follows the latest ready revision."""

    revision: str | None
    percent: int
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """What each instance gets, and how many there may be."""

    cpu: str = "1"
    memory: str = "512Mi"
    min_instances: int = 1
    max_instances: int = 20


USUAL = Resources()


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
    resources: Resources = USUAL


@dataclass(slots=True)
class Service:
    """A service with the traffic that was asked for (`traffic`) and the traffic that flows (`serving`)."""

    name: str
    environment: str  # "staging" or "production"
    uid: str
    created: datetime
    updated: datetime
    traffic: list[Traffic]
    serving: list[Traffic]  # resolved: every revision is named, percent adds up to 100
    revisions: dict[str, Revision] = field(default_factory=dict)  # in order of creation
    latest_created: str = ""
    latest_ready: str = ""
    generation: int = 1
    observed_generation: int = 1
    etag: str = ""
    reconciling: bool = False
    failure: str = ""  # the terminal condition's message when the last change failed
    url: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    moves: int = 0  # how often what flows has changed, releases included


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy workflow would note down: which revision served before, and which serves now."""

    at: datetime
    previous: str
    current: str
    commit: str
