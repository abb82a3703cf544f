"""What serves, and how long the database takes to answer when it is asked directly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from verification.clients.google.cloud_run import CloudRun
from verification.deadline import Stopwatch
from verification.settings.loading import secret
from verification.watch.criteria.gauges import PING
from verification.watch.samples import Sample
from verification.watch.sources.source import Source

if TYPE_CHECKING:
    from verification.clients.mongodb import MongoDB

SERVING = "serving"
_MONGODB = f"{PING}mongodb"


class ServingSource(Source):
    """Which revision gets all requests; while a change is under way there is nothing to tell."""

    streams = (SERVING,)

    def __init__(self, cloud_run: CloudRun, every: float) -> None:
        self.every = every
        self._cloud_run = cloud_run

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """The revision that serves everything, by its name; empty where the traffic is split."""
        state = self._cloud_run.service()
        if state.moving:
            return []
        return [Sample(SERVING, at, key=state.sole_revision or "", text=state.traffic_text)]


class DatabasePingSource(Source):
    """How long the database takes to answer a ping, in ms, once a connection stands.

    `reference` is the `$NAME` of the variable that holds its address.
    """

    streams = (_MONGODB,)

    def __init__(self, reference: str, variables: Mapping[str, str], every: float, timeout: float) -> None:
        self.every = every
        self._reference, self._variables, self._timeout = reference, variables, timeout
        self._client: MongoDB | None = None

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """One ping, in ms; the first one only connects."""
        from verification.clients.mongodb import MongoDB

        if self._client is None:
            address = secret(self._reference, "monitor.mongodb", self._variables)
            self._client = MongoDB(address, timeout=self._timeout)
            self._ping(self._client)  # connects
        return [Sample(_MONGODB, at, self._ping(self._client))]

    def close(self) -> None:
        """Close the connection to the database."""
        if self._client is not None:
            self._client.close()

    def _ping(self, client: MongoDB) -> float:
        with client.asking("ping"):
            asked = Stopwatch.start()
            client.database.command("ping")
            return asked.milliseconds
