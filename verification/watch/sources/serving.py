"""What serves, and how long the database takes to answer when it is asked directly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from verification.clients.google.cloud_run import CloudRun
from verification.deadline import Stopwatch
from verification.errors import VerificationError
from verification.watch.criteria.gauges import PING
from verification.watch.samples import Sample
from verification.watch.sources.source import Source

if TYPE_CHECKING:
    from verification.clients.mongodb import MongoDB

SERVING = "serving"


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
    """How long the database takes to answer a ping, in ms, once a connection stands."""

    streams = (PING,)

    def __init__(self, address: str, every: float, timeout: float) -> None:
        self.every = every
        self._address, self._timeout = address, timeout
        self._client: MongoDB | None = None

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """One ping, in ms; the first one only connects."""
        from verification.clients.mongodb import MongoDB

        if self._client is None:
            self._client = MongoDB(self._address, timeout=self._timeout)
            self._ping(self._client)  # connects
        return [Sample(PING, at, self._ping(self._client))]

    def close(self) -> None:
        """Close the connection to the database."""
        if self._client is not None:
            self._client.close()

    def _ping(self, client: MongoDB) -> float:
        with client.asking("ping"):
            asked = Stopwatch.start()
            client.database.command("ping")
            return asked.milliseconds


class UnreachableSource(Source):
    """A source that cannot be asked at all here, and why: no token, no address."""

    def __init__(self, streams: tuple[str, ...], problem: VerificationError, every: float) -> None:
        self.streams, self.every = streams, every
        self._problem = problem

    def read_samples(self, at: datetime) -> Iterable[Sample]:  # noqa: ARG002
        """Nothing: raises the problem."""
        raise self._problem
