"""Roll back by Cloud Run's own API: the fastest way, and the only one with a lock against other people's changes."""

from __future__ import annotations

import time
from collections.abc import Collection

from rollback.strategies.base import Shift
from rollback.traffic import TrafficSplit, settled_service
from verification.clients.google.cloud_run import Changed, CloudRun, ServiceState, Unclear
from verification.deadline import Deadline
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import shift_now

_ATTEMPTS = 4
_PAUSE = 0.5


class CloudRunStrategy:
    """By Cloud Run's own API.

    Nothing is repeated blindly: before each write the service is read, and checked, again. A conflict with somebody's
    harmless change is thus tried again, one with a change of traffic is not; a write whose answer was lost is looked
    up. `own_tags` are the run's own, which have done their work by then: the shift takes them away.
    """

    name = "cloud_run"

    def __init__(self, cloud_run: CloudRun, within: float, own_tags: Collection[str] = ()) -> None:
        self._cloud_run = cloud_run
        self._own_tags = own_tags
        self.within = within

    def obstacle(self) -> str:
        """None: it always can be tried."""
        return ""

    def cancel_pending(self) -> str:
        """Nothing to cancel: a write that was taken is carried out at once."""
        return ""

    def shift_traffic(self, shift: Shift, deadline: Deadline) -> None:
        """Read, check and write until the target serves, or `deadline` is over."""
        reason = ""
        for attempt in range(_ATTEMPTS + 1):
            state = settled_service(self._cloud_run, deadline, shift.target)
            if state.sole_revision == shift.target:
                return
            shift.recheck(TrafficSplit.by_cloud_run(state))
            remaining = deadline.remaining
            if attempt == _ATTEMPTS or remaining <= 0:
                break
            reason = self._write(shift.target, state, remaining)
            time.sleep(min(_PAUSE * attempt, deadline.remaining))
        raise RollbackFailed(
            f"the traffic did not move to {shift.target}: {reason or 'no time was left'}",
            shift_now(self._cloud_run.settings, shift.target),
        )

    def _write(self, target: str, state: ServiceState, within: float) -> str:
        """Why the traffic may not have moved, or a guess; what flows is read again in any case."""
        try:
            kept = [line for line in state.tags if line.tag not in self._own_tags]
            self._cloud_run.send_all_traffic_to(target, etag=state.etag, keep_tags=kept, within=within)
        except (Changed, Unclear) as problem:
            return problem.cause
        except ObserverError as refused:
            raise RollbackFailed(
                refused.cause, f"{refused.remedy} {shift_now(self._cloud_run.settings, target)}"
            ) from refused
        return "Cloud Run reported success, but other revisions still get requests"
