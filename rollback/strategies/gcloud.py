"""Roll back by gcloud: the checklist's emergency command, for when our own way and the workflow are broken."""

from __future__ import annotations

import time

from rollback.strategies.base import Shift, arrived
from rollback.traffic import Sight
from verification.clients.google.gcloud import Gcloud
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import at_once
from verification.settings.model import CloudRun


class ByGcloud:
    """By `gcloud run services update-traffic`. What it says of itself is noted; what serves afterwards decides."""

    name = "gcloud"

    def __init__(self, service: CloudRun, gcloud: Gcloud, sight: Sight, within: float) -> None:
        self._service = service
        self._gcloud = gcloud
        self._sight = sight
        self.within = within

    def obstacle(self) -> str:
        """See Strategy."""
        return self._gcloud.obstacle()

    def withdraw(self) -> str:
        """Nothing to call back: gcloud ends with this process."""
        return ""

    def shift(self, shift: Shift, until: float) -> None:
        """See Strategy."""
        problem, likely = "gcloud reported success", True
        try:
            self._gcloud.send_all_traffic_to(shift.to, max(until - time.monotonic(), 0))
        except ObserverError as failed:
            problem, likely = failed.cause, False
        # gcloud may have been ended, or have lost the answer, after the write.
        instead = arrived(self._sight, shift.to, until, likely=likely)
        if instead:
            raise RollbackFailed(f"{problem}, but {instead}", at_once(self._service, shift.to))
