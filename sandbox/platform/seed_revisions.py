"""What happened before the sandbox came up: the revisions of each service; production's newest one never started."""

from __future__ import annotations

import random
import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.platform.model import Deployment, Revision

if TYPE_CHECKING:
    from sandbox.platform.control_plane import ControlPlane
    from sandbox.platform.model import Service

_REPOSITORY = "us-docker.pkg.dev/sandbox-project/bayit/backend"


def seed(control: ControlPlane, service: Service, commit: str) -> Revision:
    """Give a new service its past and return the revision that serves, which runs `commit`.

    It serves through LATEST, yet production's is not the newest: whoever takes "the newest" for the one that serves,
    or "the second newest" for the one that served before, is wrong here, as in life.
    """
    now = datetime.now(UTC)
    first = _revision(service, 1, now - timedelta(days=9))
    first.ready, first.retired = True, now - timedelta(days=3)
    second = _revision(service, 2, now - timedelta(days=3))
    second.ready, second.commit = True, commit
    control.seed_revision(service, first, serving=True)
    control.seed_revision(service, second, serving=True)
    if service.environment == "production":
        third = _revision(service, 3, now - timedelta(days=1))
        third.failure = "The user-provided container failed to start and listen on the port defined by PORT=8080."
        third.retired = third.created
        control.seed_revision(service, third, serving=False)
    service.deployments.append(Deployment(second.created, first.name, second.name, second.commit))
    return second


def _revision(service: Service, number: int, created: datetime) -> Revision:
    letters = "".join(random.choices(string.ascii_lowercase, k=3))
    return Revision(
        name=f"{service.name}-{number:05}-{letters}",
        service=service.name,
        created=created,
        image=f"{_REPOSITORY}@sha256:{secrets.token_hex(32)}",
        commit=secrets.token_hex(20),
    )
