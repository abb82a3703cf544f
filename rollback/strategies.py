"""Ways to move all traffic to one revision, the best first. Each ends within its deadline, or raises."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rollback.commands import with_gcloud
from verification.clients.cloud_run import Absent, Changed, CloudRun, ServiceState, Unclear
from verification.errors import NotPermitted, ObserverError, RollbackFailed

_ATTEMPTS = 4
_PAUSE = 0.5
_LONGEST_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Shift:
    """Where all traffic shall go. `check` raises RollbackWithheld for a state from which that must not be done."""

    to: str
    check: Callable[[ServiceState], None]


class Strategy(Protocol):
    """A way to move traffic."""

    @property
    def name(self) -> str:
        """As the report calls it."""
        ...

    def shift(self, shift: Shift, until: float) -> None:
        """Return once Cloud Run says that `shift.to` serves everything; `until` is on the monotonic clock.

        Raises RollbackWithheld when the check does, RollbackFailed when it does not get through.
        """
        ...


class CloudRunApi:
    """By Cloud Run's own API.

    Nothing is repeated blindly: before each write the service is read, and checked, again. A conflict with somebody's
    harmless change is thus tried again, one with a change of traffic is not; a write whose answer was lost is looked up.
    """

    name = "cloud_run"

    def __init__(self, cloud_run: CloudRun) -> None:
        self._cloud_run = cloud_run

    def shift(self, shift: Shift, until: float) -> None:
        """See Strategy."""
        reason = ""
        for attempt in range(_ATTEMPTS + 1):
            state = read_settled(self._cloud_run, until)
            if state.sole_revision == shift.to:
                return
            shift.check(state)
            left = until - time.monotonic()
            if attempt == _ATTEMPTS or left <= 0:
                break
            reason = self._write(shift.to, state, left)
            time.sleep(min(_PAUSE * attempt, max(until - time.monotonic(), 0)))
        raise RollbackFailed(
            f"the traffic did not move to {shift.to}: {reason or 'no time was left'}", _do_it_now(self._cloud_run, shift.to)
        )

    def _write(self, to: str, state: ServiceState, left: float) -> str:
        """Why the traffic may not have moved, or a guess; what flows is read again in any case."""
        try:
            self._cloud_run.send_all_traffic_to(to, etag=state.etag, keep_tags=state.tags, deadline=left)
        except (Changed, Unclear) as problem:
            return problem.cause
        except ObserverError as refused:
            raise RollbackFailed(refused.cause, f"{refused.remedy} {_do_it_now(self._cloud_run, to)}") from refused
        return "Cloud Run reported success, but other revisions still get requests"


def read_settled(cloud_run: CloudRun, until: float, to: str = "") -> ServiceState:
    """What serves, once no change is under way, waiting until `until` (monotonic clock).

    An API that does not answer is asked again for a quarter of that time, 30 s at most: people must be called then.
    Raises RollbackFailed with the command for them.
    """
    asked = time.monotonic()
    patience = min(_LONGEST_PATIENCE, max(until - asked, 0) / 4)
    while True:
        try:
            return cloud_run.settled_service(max(until - time.monotonic(), 0))
        except ObserverError as problem:
            hopeless = isinstance(problem, (NotPermitted, Absent))
            if hopeless or time.monotonic() + _PAUSE > asked + patience:
                raise RollbackFailed(f"what serves cannot be read: {problem.cause}", _do_it_now(cloud_run, to)) from problem
        time.sleep(_PAUSE)


def _do_it_now(cloud_run: CloudRun, to: str) -> str:
    return f"Roll back now with `{with_gcloud(cloud_run.settings, to)}`, then look at the service's health."
