"""Roll back by gcloud: the checklist's emergency command, for when our own way and the workflow are broken."""

from __future__ import annotations

from rollback.strategies.base import Shift, wait_until_serving
from rollback.traffic import TrafficObserver
from verification.clients.google.gcloud import Gcloud
from verification.deadline import Deadline
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import shift_now
from verification.settings.service import CloudRunSettings


class GcloudStrategy:
    """By `gcloud run services update-traffic`. What it says of itself is noted; what serves afterwards decides."""

    name = "gcloud"

    def __init__(self, service: CloudRunSettings, gcloud: Gcloud, observer: TrafficObserver, within: float) -> None:
        self._service = service
        self._gcloud = gcloud
        self._observer = observer
        self.within = within

    def obstacle(self) -> str:
        """Why gcloud cannot be used here, or nothing."""
        return self._gcloud.obstacle()

    def cancel_pending(self) -> str:
        """Nothing to cancel: gcloud ends with this process."""
        return ""

    def shift_traffic(self, shift: Shift, deadline: Deadline) -> None:
        """Run the command, then see what serves, whatever it said."""
        problem, likely = "gcloud reported success", True
        try:
            self._gcloud.send_all_traffic_to(shift.target, deadline.remaining)
        except ObserverError as failed:
            problem, likely = failed.cause, False
        # gcloud may have been ended, or have lost the answer, after the write.
        instead = wait_until_serving(self._observer, shift.target, deadline, likely=likely)
        if instead:
            raise RollbackFailed(f"{problem}, but {instead}", shift_now(self._service, shift.target))
