"""The conditions of a service and of a revision, as the v2 API has them; v1 says the same in its own words."""

from __future__ import annotations

from datetime import datetime

from google.cloud.run_v2 import Condition

from sandbox.platform.model import CloudRunService, Revision


def of_service(service: CloudRunService) -> list[Condition]:
    """Ready, which is the terminal one, then what it is made of."""
    at, names = service.updated, ("Ready", "ConfigurationsReady", "RoutesReady")
    if service.reconciling:
        message, reason = "The change is being applied.", "WAITING_FOR_OPERATION"
        return [_condition(name, "RECONCILING", at, message, reason=reason) for name in names]
    conditions = {name: _condition(name, "SUCCEEDED", at) for name in names}
    if service.failure:
        latest = service.revisions.get(service.latest_created)
        culprit, reason = "RoutesReady", "INTERNAL"
        if latest is not None and latest.failure and latest.name in service.failure:
            culprit, reason = "ConfigurationsReady", "REVISION_FAILED"
        for name in ("Ready", culprit):
            conditions[name] = _condition(name, "FAILED", at, service.failure, reason=reason)
    return [*conditions.values()]


def of_revision(revision: Revision) -> list[Condition]:
    """Ready tells whether it can serve; Active, and the instances kept warm, only whether it serves now."""
    at, retired = revision.created, revision.retired
    if revision.failure:
        failed = ("FAILED", at, revision.failure)
        return [
            _condition("Ready", *failed, revision_reason="HEALTH_CHECK_CONTAINER_ERROR"),
            _condition("ContainerHealthy", *failed, revision_reason="HEALTH_CHECK_CONTAINER_ERROR"),
            _condition("ResourcesAvailable", "SUCCEEDED", at),
            _idle("Active", at, "The revision is retired.", "RETIRED"),
        ]
    if not revision.ready:
        starting = ("RECONCILING", at, "The container is starting.")
        return [_condition(name, *starting, revision_reason="PENDING") for name in ("Ready", "ContainerHealthy")]
    met = ["Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable"]
    if retired is None:
        return [_condition(name, "SUCCEEDED", at) for name in (*met, "Active", "MinInstancesProvisioned")]
    return [
        *(_condition(name, "SUCCEEDED", at) for name in met),
        _idle("Active", retired, "The revision is retired.", "RETIRED"),
        _idle("MinInstancesProvisioned", retired, "The revision serves no traffic.", "MIN_INSTANCES_NOT_PROVISIONED"),
    ]


def _condition(name: str, state: str, since: datetime, message: str = "", **more: str) -> Condition:
    return Condition(type_=name, state=f"CONDITION_{state}", last_transition_time=since, message=message, **more)


def _idle(name: str, since: datetime, message: str, reason: str) -> Condition:
    """A failure that only informs: the resource is healthy."""
    return _condition(name, "FAILED", since, message, revision_reason=reason, severity="INFO")
