"""Roll back by Cloud Run's own API: the fastest way, and the only one with a lock against other people's changes."""

from __future__ import annotations

import time

from rollback.reading import settled_service
from rollback.strategies.base import Shift
from rollback.traffic import seen_by_cloud_run
from verification.clients.google.cloud_run import Changed, CloudRun, ServiceState, Unclear
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import at_once

_ATTEMPTS = 4
_PAUSE = 0.5


class ByCloudRun:
    """By Cloud Run's own API.

    Nothing is repeated blindly: before each write the service is read, and checked, again. A conflict with somebody's
    harmless change is thus tried again, one with a change of traffic is not; a write whose answer was lost is looked
    up.
    """

    name = "cloud_run"

    def __init__(self, cloud_run: CloudRun, within: float) -> None:
        self._cloud_run = cloud_run
        self.within = within

    def obstacle(self) -> str:
        """See Strategy."""
        return ""

    def withdraw(self) -> str:
        """Nothing to call back: a write that was taken is carried out at once."""
        return ""

    def shift(self, shift: Shift, until: float) -> None:
        """See Strategy."""
        reason = ""
        for attempt in range(_ATTEMPTS + 1):
            state = settled_service(self._cloud_run, until, shift.to)
            if state.sole_revision == shift.to:
                return
            shift.check(seen_by_cloud_run(state))
            left = until - time.monotonic()
            if attempt == _ATTEMPTS or left <= 0:
                break
            reason = self._write(shift.to, state, left)
            time.sleep(min(_PAUSE * attempt, max(until - time.monotonic(), 0)))
        raise RollbackFailed(
            f"the traffic did not move to {shift.to}: {reason or 'no time was left'}",
            at_once(self._cloud_run.settings, shift.to),
        )

    def _write(self, to: str, state: ServiceState, left: float) -> str:
        """Why the traffic may not have moved, or a guess; what flows is read again in any case."""
        try:
            self._cloud_run.send_all_traffic_to(to, etag=state.etag, keep_tags=state.tags, deadline=left)
        except (Changed, Unclear) as problem:
            return problem.cause
        except ObserverError as refused:
            raise RollbackFailed(
                refused.cause, f"{refused.remedy} {at_once(self._cloud_run.settings, to)}"
            ) from refused
        return "Cloud Run reported success, but other revisions still get requests"
