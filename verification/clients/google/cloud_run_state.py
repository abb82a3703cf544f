"""What Cloud Run says about a service and its revisions, as values; only here are the API's messages read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from google.cloud import run_v2

COMMIT_LABEL = "commit-sha"
_ALL = 100

# The API's numbers: named here, because importing its library takes half a second.
_FOLLOWS_LATEST = 1
_SUCCEEDED = 4

_UNITS = {
    "": 1.0,
    "m": 0.001,
    **{letter: 1000.0**power for power, letter in enumerate("kMGT", 1)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", 1)},
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGT]|[KMGT]i|)")


@dataclass(frozen=True, slots=True)
class Serving:
    """One line of the traffic that flows: a revision's share in percent, and its tag with that one's own `address`."""

    revision: str
    percent: int
    tag: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class TrafficLine:
    """One line of the traffic that is asked for. `revision` is empty where it follows the latest ready one."""

    revision: str
    percent: int
    tag: str = ""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service at one moment.

    `moving`: a change is under way, and `serving` may be out of date. `settled`: nothing is under way, the last change
    succeeded, and what was asked for is what flows. In between lies the failed change: nothing moves, `problem` says
    what went wrong, and `serving` tells what still serves. `pinned`: no share of the traffic follows new deployments.
    `changed` is when the last change was asked for, or had taken effect.
    """

    name: str
    etag: str
    moving: bool
    settled: bool
    serving: tuple[Serving, ...]
    lines: tuple[TrafficLine, ...]  # as they were asked for
    pinned: bool
    latest_ready: str
    latest_created: str
    url: str
    problem: str = ""
    asked: str = ""  # the revision that everything was asked to go to; empty where that is split
    urls: tuple[str, ...] = ()  # all but the tags'; none where Cloud Run does not list them
    changed: datetime | None = None

    @property
    def sole_revision(self) -> str | None:
        """The revision that gets all requests; None while they are split."""
        return next((name for name, percent in self.shares.items() if percent == _ALL), None)

    @property
    def shares(self) -> dict[str, int]:
        """The share of each revision that gets requests, in percent."""
        shares: dict[str, int] = {}
        for line in self.serving:
            if line.percent:
                shares[line.revision] = shares.get(line.revision, 0) + line.percent
        return shares

    @property
    def tags(self) -> tuple[TrafficLine, ...]:
        """The tags alone: at 0 % of the traffic."""
        return tuple(replace(line, percent=0) for line in self.lines if line.tag)

    @property
    def hosts(self) -> frozenset[str]:
        """Where the service answers, as host or host:port. Cloud Run's API does not know of custom domains."""
        return frozenset(urlsplit(address).netloc for address in (self.url, *self.urls, *self.tag_addresses))

    @property
    def tag_addresses(self) -> tuple[str, ...]:
        """Those of the tags: each reaches one revision, whatever the others get."""
        return tuple(line.address for line in self.serving if line.tag and line.address)

    def serves_as(self, other: ServiceState) -> bool:
        """Whether it serves as at that `other` moment, both at rest. Tags are none of that: they move nobody."""
        here, there = (
            (state.moving, state.shares, state.latest_ready, state.latest_created) for state in (self, other)
        )
        return not self.moving and here == there

    def tag(self, name: str) -> TrafficLine | None:
        """The line of the tag `name`, if it is there."""
        return next((line for line in self.lines if line.tag == name), None)

    @property
    def traffic_text(self) -> str:
        """The split in words: `a 90 %, b 10 %`."""
        return ", ".join(f"{name} {percent} %" for name, percent in self.shares.items()) or "nothing serves"


@dataclass(frozen=True, slots=True)
class Allotment:
    """What each instance of a revision gets, all containers together, and how many there may be.

    `cpu` is in vCPU, `memory` in bytes; None where the revision does not say. `max_instances` is None without a limit.
    `cpu_always`: the CPU is there, and paid for, between requests too.
    """

    cpu: float | None = None
    memory: int | None = None
    min_instances: int = 0
    max_instances: int | None = None
    cpu_always: bool = False


@dataclass(frozen=True, slots=True)
class RevisionState:
    """A revision. `ready` is its Ready condition and no other: an idle one shows others that failed, and can serve.

    `commit` is the label `commit-sha`, or empty; `problem` says why it is not ready.
    """

    name: str
    created: datetime
    ready: bool
    commit: str
    image: str
    problem: str = ""
    allotment: Allotment = Allotment()


def service_state(message: run_v2.Service) -> ServiceState:
    """The state that a `Service` message describes."""
    latest_ready = _short(message.latest_ready_revision)
    # A line that follows the latest carries no name. No lines at all also means: everything to the latest.
    asked, flowing = (
        [(_named(line.type_, line.revision, latest_ready), line.percent, line.tag) for line in lines]
        for lines in (message.traffic, message.traffic_statuses)
    )
    moving = bool(message.reconciling) or message.observed_generation != message.generation
    succeeded = int(message.terminal_condition.state) == _SUCCEEDED
    follows = not message.traffic or any(
        int(line.type_) == _FOLLOWS_LATEST and line.percent for line in message.traffic
    )
    return ServiceState(
        name=_short(message.name),
        etag=message.etag,
        moving=moving,
        settled=not moving and succeeded and sorted(asked or [(latest_ready, _ALL, "")]) == sorted(flowing),
        serving=tuple(Serving(*line, told.uri) for line, told in zip(flowing, message.traffic_statuses, strict=True)),
        lines=tuple(TrafficLine(line.revision, line.percent, line.tag) for line in message.traffic)
        or (TrafficLine("", _ALL),),
        pinned=not follows,
        latest_ready=latest_ready,
        latest_created=_short(message.latest_created_revision),
        url=message.uri,
        problem="" if succeeded or moving else message.terminal_condition.message,
        urls=tuple(message.urls),
        changed=max(
            (_time(at) for at in (message.update_time, message.terminal_condition.last_transition_time) if at),
            default=None,
        ),
        asked=next((name for name, percent, _ in asked if percent == _ALL), "" if asked else latest_ready),
    )


def revision_state(message: run_v2.Revision) -> RevisionState:
    """The state that a `Revision` message describes."""
    readiness = next((condition for condition in message.conditions if condition.type_ == "Ready"), None)
    ready = readiness is not None and int(readiness.state) == _SUCCEEDED
    return RevisionState(
        name=_short(message.name),
        created=_time(message.create_time),
        ready=ready,
        commit=message.labels.get(COMMIT_LABEL, ""),
        image=message.containers[0].image if message.containers else "",
        problem="" if ready or readiness is None else readiness.message,
        allotment=_allotment(message),
    )


def quantity(text: str) -> float:
    """A quantity as Kubernetes writes it: `1`, `1000m`, `512Mi`, `1G`. Raises ValueError for anything else."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no quantity such as 1, 500m or 512Mi")
    return float(found[1]) * _UNITS[found[2]]


def _allotment(message: run_v2.Revision) -> Allotment:
    cpu, memory = _limits(message, "cpu"), _limits(message, "memory")
    return Allotment(
        cpu=cpu,
        memory=None if memory is None else round(memory),
        min_instances=message.scaling.min_instance_count,
        max_instances=message.scaling.max_instance_count or None,
        # Where no resources are named, the default holds: CPU during requests only.
        cpu_always=any(
            container.resources.limits and not container.resources.cpu_idle for container in message.containers
        ),
    )


def _limits(message: run_v2.Revision, name: str) -> float | None:
    """The sum over all containers; None where one of them does not say, or says what is no quantity."""
    try:
        # `get`: to ask such a map for `[name]` would put it in, empty.
        return sum(quantity(container.resources.limits.get(name, "")) for container in message.containers)
    except ValueError:
        return None


def _named(kind: int, revision: str, latest_ready: str) -> str:
    return latest_ready if int(kind) == _FOLLOWS_LATEST or not revision else _short(revision)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _time(value: datetime | None) -> datetime:
    # Messages without a time exist only while a resource is being created.
    return datetime.fromtimestamp(value.timestamp(), UTC) if value else datetime.fromtimestamp(0, UTC)
