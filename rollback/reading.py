"""Read from Cloud Run when a rollback is due: patiently, but not for so long that nobody is called."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from verification.clients.google.cloud_run import Absent, CloudRun, RevisionState, ServiceState
from verification.errors import NotPermitted, ObserverError, RollbackFailed
from verification.operator_commands import at_once

T = TypeVar("T")

_PAUSE = 0.5
_SHORTEST = 1.0
_LONGEST_PATIENCE = 30.0


def settled_service(cloud_run: CloudRun, until: float, to: str) -> ServiceState:
    """What serves, once nothing is under way. Raises RollbackFailed with the command that sends all traffic to `to`."""
    return _patiently(
        lambda: _limited(cloud_run, until).settled_service(max(until - time.monotonic(), 0)), cloud_run, until, to
    )


def existing_revision(cloud_run: CloudRun, name: str, until: float) -> RevisionState | None:
    """The revision `name`, or None when there is none. Raises RollbackFailed with the command that names it."""

    def look() -> RevisionState | None:
        try:
            return _limited(cloud_run, until).revision(name)
        except Absent:
            return None

    return _patiently(look, cloud_run, until, name)


def _limited(cloud_run: CloudRun, until: float) -> CloudRun:
    """A client that a silent API cannot keep for long beyond `until`."""
    return cloud_run.limited_to(max(until - time.monotonic(), _SHORTEST))


def _patiently(look: Callable[[], T], cloud_run: CloudRun, until: float, to: str) -> T:
    """Ask a silent API again for a quarter of the time that is left until `until` (monotonic clock), 30 s at most."""
    asked = time.monotonic()
    patience = min(_LONGEST_PATIENCE, max(until - asked, 0) / 4)
    while True:
        try:
            return look()
        except ObserverError as problem:
            hopeless = isinstance(problem, (NotPermitted, Absent))
            if hopeless or time.monotonic() + _PAUSE > asked + patience:
                raise RollbackFailed(
                    problem.cause, f"{at_once(cloud_run.settings, to)} {problem.remedy}".strip()
                ) from problem
        time.sleep(_PAUSE)
