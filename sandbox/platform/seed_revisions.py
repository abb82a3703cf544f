"""Seed data of Cloud Run: each service's revisions of the past days; production's newest one never started."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sandbox.platform.model import (
    ALL_TO_LATEST,
    CloudRunService,
    Revision,
    Rollout,
    TrafficTarget,
    new_image,
    revision_name,
)


def seed(service: CloudRunService, commit: str) -> Revision:
    """Give a new service its past and return the revision that serves, which runs `commit`.

    It serves through LATEST, yet production's is not the newest: whoever takes "the newest" for the one that serves,
    or "the second newest" for the one that served before, is wrong here, as in life.
    """
    now = datetime.now(UTC)
    first = _revision(service, 1, now - timedelta(days=9))
    first.ready, first.retired = True, now - timedelta(days=3)
    second = _revision(service, 2, now - timedelta(days=3))
    second.ready, second.commit = True, commit
    add_past(service, first, serving=True)
    add_past(service, second, serving=True)
    if service.environment == "production":
        third = _revision(service, 3, now - timedelta(days=1))
        third.failure = "The user-provided container failed to start and listen on the port defined by PORT=8080."
        third.retired = third.created
        add_past(service, third, serving=False)
    service.deployments.append(Rollout(second.created, first.name, second.name, second.commit))
    return second


def add_past(service: CloudRunService, revision: Revision, *, serving: bool) -> None:
    """Add a piece of the past: no operation, nothing started. `serving` gives it all traffic, through LATEST."""
    service.created = min(service.created, revision.created)
    service.updated = revision.created
    service.revisions[revision.name] = revision
    service.latest_created = revision.name
    service.generation = service.observed_generation = len(service.revisions)
    service.failure = "" if revision.ready else revision.refusal
    if revision.ready:
        service.latest_ready = revision.name
    if serving:
        service.traffic = service.targets = [ALL_TO_LATEST]
        service.serving = [TrafficTarget(revision.name, 100)]


def _revision(service: CloudRunService, number: int, created: datetime) -> Revision:
    name = revision_name(service.name, number)
    return Revision(name, service.name, created, new_image(), secrets.token_hex(20))
