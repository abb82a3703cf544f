"""The catalogue of faults that the sandbox can plant.

A fault is one of three kinds. A *service* fault belongs to a revision and goes away when traffic leaves that revision.
An *observer* fault breaks a system that watches the service; an *actor* fault breaks a system that changes it. Those
two are in force for the whole sandbox until they are taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["service", "observer", "actor"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name on the command line, what it breaks, and what a client sees of it."""

    name: str
    kind: Kind
    description: str


CATALOGUE: tuple[Fault, ...] = (
    Fault("unhealthy", "service", "All health endpoints and all API paths answer 503."),
    Fault("slow-start", "service", "Every path answers 503 for the first 0.7 s after the revision's first request."),
    Fault("login-broken", "service", "POST /api/v1/auth/login answers 500."),
    Fault("search-broken", "service", "GET /api/v1/search answers 500 with an HTML error page."),
    Fault("playback-broken", "service", "Media URLs answer 404."),
    Fault(
        "mongodb-down",
        "service",
        "The revision's MongoDB address refuses connections: readiness and deep health answer 503, login, content and "
        "search 500.",
    ),
    Fault(
        "mongodb-slow",
        "service",
        "Each MongoDB reply takes about 150 ms longer: deep health is degraded, and so is its mongodb entry.",
    ),
    Fault(
        "dependency-slow",
        "service",
        "OpenAI answers after 2.5 s: deep health is degraded, and so is its openai entry.",
    ),
    Fault(
        "new-error-type",
        "service",
        "Every third request to /api/v1/content, the first included, reports an exception of a type that nobody has "
        "seen before; its answer is as ever. A release with it is visited once, so that Sentry has it at once.",
    ),
    Fault(
        "critical-error",
        "service",
        "The same with an exception of level fatal, which gives its issue high priority.",
    ),
    Fault("cloud-run-down", "actor", "Every Cloud Run API call answers 503 (REST) or UNAVAILABLE (gRPC)."),
    Fault(
        "rollback-conflict",
        "actor",
        "Somebody else's harmless change comes just before the next traffic update, which gets a conflict.",
    ),
    Fault("rollback-fails", "actor", "Traffic updates end with an error and traffic stays where it was."),
    Fault("cloud-run-hangs", "actor", "No Cloud Run API call (REST) is ever answered."),
    Fault("cloud-run-401", "actor", "Every Cloud Run API call (REST) answers 401: the credentials have expired."),
    Fault("cloud-run-403", "actor", "Every Cloud Run API call (REST) answers 403: a permission is missing."),
    Fault("cloud-run-429", "actor", "Every Cloud Run API call (REST) answers 429: the quota is used up."),
    Fault("cloud-run-500", "actor", "Every Cloud Run API call (REST) answers 500."),
    Fault("operation-never-ends", "actor", "A traffic update is accepted, and stays under way while this is in force."),
    Fault("success-without-effect", "actor", "A traffic update ends well, and traffic stays where it was."),
    Fault("sentry-down", "observer", "Sentry answers 503 to every call, and takes no event."),
    Fault("monitoring-down", "observer", "Cloud Monitoring answers UNAVAILABLE to every call."),
    Fault("slack-down", "observer", "Slack answers 503 to every call, and its page too."),
    Fault("github-down", "observer", "GitHub answers 503 to every call."),
    Fault("sentry-empty", "observer", "Sentry answers every search with nothing, and swallows every event."),
)

_BY_NAME = {fault.name: fault for fault in CATALOGUE}


class UnknownFaultError(ValueError):
    """A fault that the catalogue does not have."""

    def __init__(self, unknown: Iterable[str], allowed: Iterable[Fault] = CATALOGUE) -> None:
        names = ", ".join(repr(name) for name in unknown)
        known = ", ".join(fault.name for fault in allowed)
        super().__init__(f"unknown fault {names}; known here: {known}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A set of fault names, sorted by where they take effect."""

    in_revision: frozenset[str]
    in_force: frozenset[str]


def plan(names: Iterable[str]) -> Plan:
    """Sort fault names into those of a revision and those of the world around it.

    Raises UnknownFaultError, which lists the catalogue, for a name that it does not have.
    """
    wanted = frozenset(names)
    _refuse(wanted - _BY_NAME.keys(), CATALOGUE)
    in_revision = frozenset(name for name in wanted if _BY_NAME[name].kind == "service")
    return Plan(in_revision, wanted - in_revision)


def plan_in_force(names: Iterable[str]) -> frozenset[str]:
    """The same names as a set, provided that all are observer or actor faults.

    Raises UnknownFaultError for any other: a service fault needs a release to come into the world.
    """
    wanted = frozenset(names)
    allowed = [fault for fault in CATALOGUE if fault.kind != "service"]
    _refuse(wanted - {fault.name for fault in allowed}, allowed)
    return wanted


def _refuse(unknown: frozenset[str], allowed: Iterable[Fault]) -> None:
    if unknown:
        raise UnknownFaultError(sorted(unknown), allowed)
