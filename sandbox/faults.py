"""The catalogue of faults that the sandbox can plant.

A fault is one of four kinds. A *service* fault belongs to a revision and goes away when traffic leaves that revision.
A *surroundings* fault strikes every revision alike: what they run on and depend on, the account that asks, the front
door. An *observer* fault breaks a system that watches the service; an *actor* fault breaks a system that changes it.
Those three are in force for the whole sandbox until they are taken back.

Each is planted by its name, or as NAME@TIME (`error-rate@8s`) to begin that long after: a service fault after its
revision's first request, the others after they were planted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, MutableSet
from dataclasses import dataclass
from typing import Literal

SPARED = 10
REQUESTS_TO_FULL_MEMORY = 50
BLIP_SECONDS = 11.0
COLD_START = 4.0  # seconds, for a container

Kind = Literal["service", "surroundings", "observer", "actor"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name on the command line, what it breaks, and what a client sees of it."""

    name: str
    kind: Kind
    description: str


_SERVICE = {
    "unhealthy": "All health endpoints and all API paths answer 503.",
    "slow-start": "Every path answers 503 for the first 0.7 s after the revision's first request.",
    "login-broken": "POST /api/v1/auth/login answers 500.",
    "password-unchecked": "POST /api/v1/auth/login takes any password.",
    "search-broken": "GET /api/v1/search answers 500 with an HTML error page.",
    "playback-broken": "Media URLs answer 404.",
    "mongodb-down": "The revision's MongoDB address refuses connections: readiness and deep health answer 503, "
    "login, content and search 500.",
    "mongodb-slow": "Each MongoDB reply takes about 150 ms longer: deep health is degraded, and so is its mongodb "
    "entry.",
    "dependency-slow": "OpenAI answers after 2.5 s: deep health is degraded, and so is its openai entry.",
    "new-error-type": "Every third request to /api/v1/content, the first included, reports an exception of a type "
    "that nobody has seen before; its answer is as ever. A release with it is visited once, so that Sentry has it "
    "at once.",
    "critical-error": "The same with an exception of level fatal, which gives its issue high priority.",
    "error-rate": f"One API request in five answers 500, for each client after its first {SPARED}.",
    "latency": f"For each client, after its first {SPARED} API requests, half of them take 0.7 s longer and one in "
    "ten 2.5 s.",
    "ramp": f"More and more API requests answer 500: from none to 30 % within 20 s; each client's first {SPARED} are "
    "good.",
    "out-of-memory": f"Memory grows with each API request: every {REQUESTS_TO_FULL_MEMORY} the container is killed "
    "and started anew, and what it was answering gets 503.",
    "traffic-drop": "Users stay away: one in ten of them comes, while the revision serves.",
    "errors-half-percent": "One API request in 200 answers 500, whichever it is.",
    "blip": "One answer to each client is 500, whatever it asks, and all others are good.",
    "blip-502": "The same with 502.",
    "blip-broken-off": "The same with an answer that breaks off, as its connection does.",
    "blip-slow": f"One answer to each client takes {BLIP_SECONDS:g} s longer.",
    "startup-errors": "The container writes an ERROR line while it starts, and answers as ever.",
    "deploy-red": "The container never starts: its revision is never Ready, and the deploy workflow's deploy job "
    "fails.",
    "no-available-instance": "Cloud Run finds no instance for the revision and refuses each request itself: 429, and "
    "the entry in the request log says so.",
    "previous-broken": "The revision from before has the same faults as this one, once it has lost its instance; "
    "without any other, login answers 500 on both.",
}
_SURROUNDINGS = {
    "cold-start": f"A container takes {COLD_START:g} s to start: for so long the first answers of a revision without "
    "an instance are waited for, also through a tag.",
    "dependency-slow-everywhere": "OpenAI answers every revision after 2.5 s: see dependency-slow.",
    "password-rotated": "The smoke account has another password now: its login answers 401 on every revision.",
    "account-locked": "The smoke account is locked, for too many logins: its login answers 423 on every revision.",
    "waf": "Cloud Armor, in front of the services' main addresses, denies whoever is not a browser: 403 with a page.",
    "waf-everybody": "The same for everybody.",
    "canonical-host": "Every revision redirects who asks at another address than the service's own, such as a tag's.",
    "trusted-hosts": "Every revision answers 400 there, as a framework with a list of trusted hosts does.",
    "iam-refused": "Cloud Run's IAM lets nobody in: every address answers 403 with Google's page.",
}
_ACTOR = {
    "cloud-run-down": "Every Cloud Run API call answers 503 (REST) or UNAVAILABLE (gRPC).",
    "rollback-conflict": "Somebody else's harmless change comes just before the next traffic update, which gets a "
    "conflict.",
    "rollback-fails": "Traffic updates end with an error and traffic stays where it was.",
    "workflow-hangs": "Runs of the deploy workflow wait for a runner, and start once this is over.",
    "build-red": "The deploy workflow's build job fails: nothing is deployed.",
    "health-check-red": "The deploy workflow's health-check job fails, of a new revision that serves.",
    "slow-deployment": "The deploy workflow has taken 16 minutes when a release is through.",
    "workflow-idle": "Runs of the deploy workflow end green without having changed anything.",
    "cloud-run-hangs": "No Cloud Run API call (REST) is ever answered.",
    "cloud-run-401": "Every Cloud Run API call (REST) answers 401: the credentials have expired.",
    "cloud-run-403": "Every Cloud Run API call (REST) answers 403: a permission is missing.",
    "cloud-run-429": "Every Cloud Run API call (REST) answers 429: the quota is used up.",
    "cloud-run-500": "Every Cloud Run API call (REST) answers 500.",
    "operation-never-ends": "A traffic update is accepted, and stays under way while this is in force.",
    "success-without-effect": "A traffic update ends well, and traffic stays where it was.",
}
_OBSERVER = {
    "sentry-down": "Sentry answers 503 to every call, and takes no event.",
    "monitoring-down": "Cloud Monitoring answers UNAVAILABLE to every call.",
    "logging-down": "Cloud Logging answers 503 to every call.",
    "slack-down": "Slack answers 503 to every call, and its page too.",
    "github-down": "GitHub answers 503 to every call.",
    "sentry-empty": "Sentry answers every search with nothing, and swallows every event.",
}
CATALOGUE: tuple[Fault, ...] = (
    *(Fault(name, "service", description) for name, description in _SERVICE.items()),
    *(Fault(name, "actor", description) for name, description in _ACTOR.items()),
    *(Fault(name, "observer", description) for name, description in _OBSERVER.items()),
    *(Fault(name, "surroundings", description) for name, description in _SURROUNDINGS.items()),
)

_SHARED, _LOGIN = "previous-broken", frozenset({"login-broken"})
_KINDS = {fault.name: fault.kind for fault in CATALOGUE}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)", re.ASCII)


class FaultError(ValueError):
    """A fault that cannot be planted."""


class UnknownFaultError(FaultError):
    """A fault that the catalogue does not have."""

    def __init__(self, unknown: Iterable[str], allowed: Iterable[Fault] = CATALOGUE) -> None:
        names = ", ".join(repr(name) for name in unknown)
        known = ", ".join(fault.name for fault in allowed)
        super().__init__(f"unknown fault {names}; known here: {known}")


def parsed(planted: str) -> tuple[str, float]:
    """The name of NAME or NAME@TIME, and after how many seconds it begins. Raises FaultError for another time."""
    name, at, when = planted.partition("@")
    if not at:
        return name, 0.0
    found = _TIME.fullmatch(when)
    if not found:
        raise FaultError(f"{planted!r}: give the time after @ with its unit, such as {name}@8s, @500ms or @2m")
    return name, float(found[1]) * _UNITS[found[2]]


class Faults(MutableSet[str]):
    """Faults by name: a set of those that have begun.

    `add` takes NAME@TIME too. The time runs from then on, or from `begin` for those of a revision that nobody has
    asked anything yet.
    """

    def __init__(
        self, planted: Iterable[str] = (), *, begun: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._begun = begun
        self._clock = clock
        self._waiting: dict[str, float] = {}  # before `begin`: after how many seconds each will
        self._since: dict[str, float] = {}  # the moment that each begins at, on the clock
        self.update(planted)

    def begin(self) -> None:
        """Start the clock, unless it runs."""
        if not self._begun:
            self._begun, waiting, self._waiting = True, self._waiting, {}
            now = self._clock()
            self._since.update({name: now + after for name, after in waiting.items()})

    def update(self, planted: Iterable[str]) -> None:
        """Add several."""
        for fault in planted:
            self.add(fault)

    def add(self, value: str) -> None:
        """Plant a fault."""
        name, after = parsed(value)
        if self._begun:
            self._since[name] = self._clock() + after
        else:
            self._waiting[name] = after

    def discard(self, value: str) -> None:
        """Take a fault back, whether it has begun or not."""
        self._since.pop(value, None)
        self._waiting.pop(value, None)

    def clear(self) -> None:
        """Take all back."""
        self._since.clear()
        self._waiting.clear()

    def seconds(self, name: str) -> float | None:
        """For how long a fault has been there; None for one that is not."""
        if self._waiting.get(name) == 0:
            return 0.0
        since = self._since.get(name)
        passed = self._clock() - since if since is not None else -1.0
        return passed if passed >= 0 else None

    def to_come(self) -> list[str]:
        """Those that have not begun."""
        return sorted(name for name in {*self._waiting, *self._since} if name not in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.seconds(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in (*self._waiting, *self._since) if name in self])

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Faults as they are planted (NAME or NAME@TIME), sorted by where they take effect."""

    in_revision: frozenset[str]
    in_force: frozenset[str]


def plan(planted: Iterable[str]) -> FaultPlan:
    """Sort faults into those of a revision and those of the world around it.

    Raises UnknownFaultError, which lists the catalogue, for a name that it does not have, FaultError for another time.
    """
    wanted = _checked(planted, CATALOGUE)
    in_revision = frozenset(fault for fault in wanted if _KINDS[parsed(fault)[0]] == "service")
    usual = _LOGIN if {parsed(fault)[0] for fault in in_revision} == {_SHARED} else frozenset()
    return FaultPlan(in_revision | usual, wanted - in_revision)


def of_previous(in_revision: frozenset[str]) -> frozenset[str]:
    """Which of a release's faults the revision from before has as well: all or none."""
    return in_revision if _SHARED in {parsed(fault)[0] for fault in in_revision} else frozenset()


def plan_in_force(planted: Iterable[str]) -> frozenset[str]:
    """The same faults as a set, provided that none is of a revision.

    Raises UnknownFaultError for any other: a service fault needs a release to come into the world.
    """
    return _checked(planted, [fault for fault in CATALOGUE if fault.kind != "service"])


def _checked(planted: Iterable[str], allowed: Iterable[Fault]) -> frozenset[str]:
    wanted, known = frozenset(planted), {fault.name for fault in allowed}
    unknown = {name for name, _ in map(parsed, wanted)} - known
    if unknown:
        raise UnknownFaultError(sorted(unknown), allowed)
    return wanted
