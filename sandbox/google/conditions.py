"""The conditions of a service and of a revision, in the words of neither version of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sandbox.platform.model import CloudRunService, Revision


class ConditionState(Enum):
    """How far a condition has got."""

    RECONCILING = "reconciling"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `reason` is a CommonReason, `revision_reason` a RevisionReason of the v2 API; not both."""

    type: str
    state: ConditionState
    since: datetime
    message: str = ""
    reason: str = ""
    revision_reason: str = ""
    info: bool = False  # a failure that only informs: the resource is healthy


def of_service(service: CloudRunService) -> list[Condition]:
    """Ready, which is the terminal one, then what it is made of."""
    at, names = service.updated, ("Ready", "ConfigurationsReady", "RoutesReady")
    conditions = {name: Condition(name, ConditionState.SUCCEEDED, at) for name in names}
    if service.reconciling:
        said = ("The change is being applied.", "WAITING_FOR_OPERATION")
        return [Condition(name, ConditionState.RECONCILING, at, *said) for name in names]
    if service.failure:
        latest = service.revisions.get(service.latest_created)
        culprit, reason = "RoutesReady", "INTERNAL"
        if latest is not None and latest.failure and latest.name in service.failure:
            culprit, reason = "ConfigurationsReady", "REVISION_FAILED"
        failed = (Condition(name, ConditionState.FAILED, at, service.failure, reason) for name in ("Ready", culprit))
        conditions |= {condition.type: condition for condition in failed}
    return [*conditions.values()]


def of_revision(revision: Revision) -> list[Condition]:
    """Ready tells whether it can serve; Active, and the instances kept warm, only whether it serves now."""
    at = revision.created
    if revision.failure:
        reason = "HEALTH_CHECK_CONTAINER_ERROR"
        return [
            _of_revision("Ready", ConditionState.FAILED, at, revision.failure, reason),
            _of_revision("ContainerHealthy", ConditionState.FAILED, at, revision.failure, reason),
            Condition("ResourcesAvailable", ConditionState.SUCCEEDED, at),
            _informing("Active", at, "The revision is retired.", "RETIRED"),
        ]
    if not revision.ready:
        said = ("The container is starting.", "PENDING")
        return [_of_revision(name, ConditionState.RECONCILING, at, *said) for name in ("Ready", "ContainerHealthy")]
    names = ["Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable"]
    if revision.retired is None:
        return [Condition(name, ConditionState.SUCCEEDED, at) for name in (*names, "Active", "MinInstancesProvisioned")]
    idle, retired = "MIN_INSTANCES_NOT_PROVISIONED", revision.retired
    return [
        *(Condition(name, ConditionState.SUCCEEDED, at) for name in names),
        _informing("Active", retired, "The revision is retired.", "RETIRED"),
        _informing("MinInstancesProvisioned", retired, "The revision serves no traffic.", idle),
    ]


def _of_revision(name: str, state: ConditionState, since: datetime, message: str, reason: str) -> Condition:
    return Condition(name, state, since, message, revision_reason=reason)


def _informing(name: str, since: datetime, message: str, reason: str) -> Condition:
    return Condition(name, ConditionState.FAILED, since, message, revision_reason=reason, info=True)
