"""The conditions of a service and of a revision, before either dialect of the API spells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sandbox.platform.model import Revision, Service


class State(Enum):
    """How far a condition has got."""

    RECONCILING = "reconciling"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `reason` is a CommonReason, `revision_reason` a RevisionReason of the v2 API; not both."""

    type: str
    state: State
    since: datetime
    message: str = ""
    reason: str = ""
    revision_reason: str = ""
    info: bool = False  # a failure that only informs: the resource is healthy


def of_service(service: Service) -> list[Condition]:
    """Ready, which is the terminal one, then what it is made of."""
    types = ("Ready", "ConfigurationsReady", "RoutesReady")
    if service.reconciling:
        return [
            Condition(name, State.RECONCILING, service.updated, "The change is being applied.", "WAITING_FOR_OPERATION")
            for name in types
        ]
    if not service.failure:
        return [Condition(name, State.SUCCEEDED, service.updated) for name in types]
    latest = service.revisions.get(service.latest_created)
    culprit, reason = "RoutesReady", "INTERNAL"
    if latest is not None and latest.failure and latest.name in service.failure:
        culprit, reason = "ConfigurationsReady", "REVISION_FAILED"
    return [
        Condition(name, State.FAILED, service.updated, service.failure, reason)
        if name in {"Ready", culprit}
        else Condition(name, State.SUCCEEDED, service.updated)
        for name in types
    ]


def of_revision(revision: Revision) -> list[Condition]:
    """Ready tells whether it can serve; Active, and the instances kept warm, only whether it serves now."""
    if revision.failure:
        return _failed(revision)
    if not revision.ready:
        return [
            Condition(
                name, State.RECONCILING, revision.created, "The container is starting.", revision_reason="PENDING"
            )
            for name in ("Ready", "ContainerHealthy")
        ]
    good = [
        Condition(name, State.SUCCEEDED, revision.created)
        for name in ("Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable")
    ]
    if revision.retired is None:
        return [
            *good,
            *(Condition(name, State.SUCCEEDED, revision.created) for name in ("Active", "MinInstancesProvisioned")),
        ]
    return [
        *good,
        Condition(
            "Active", State.FAILED, revision.retired, "The revision is retired.", revision_reason="RETIRED", info=True
        ),
        Condition(
            "MinInstancesProvisioned",
            State.FAILED,
            revision.retired,
            "The revision serves no traffic.",
            revision_reason="MIN_INSTANCES_NOT_PROVISIONED",
            info=True,
        ),
    ]


def _failed(revision: Revision) -> list[Condition]:
    since, message = revision.created, revision.failure
    return [
        Condition(name, State.FAILED, since, message, revision_reason="HEALTH_CHECK_CONTAINER_ERROR")
        for name in ("Ready", "ContainerHealthy")
    ] + [
        Condition("ResourcesAvailable", State.SUCCEEDED, since),
        Condition("Active", State.FAILED, since, "The revision is retired.", revision_reason="RETIRED", info=True),
    ]
