"""Cloud Logging as a test says, and what the tests of all sources share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from verification.clients.google.cloud_logging import CloudLogging, LogEntry, LoggedRequest, LoggedRequests
from verification.errors import VerificationError
from verification.settings.monitor import Monitor
from verification.settings.service import CloudRunSettings
from verification.watch.samples import Sample, TrafficBlock

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)

OURS, OLD = "backend-00002-abc", "backend-00001-xyz"

MONITOR = Monitor.model_validate(
    {
        "block": "10s",
        "log_delay": "5s",
        "observers_every": "30s",
        "roll_back_at": {"error_rate": "5%", "p95_latency": "2s", "lasting": "300s"},
    }
)

NOWHERE = CloudRunSettings.model_validate({"service": "backend", "region": "us-east1", "project": "nowhere"})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(samples: Iterable[Sample]) -> list[TrafficBlock | None]:
    return [one.traffic for one in samples]


def totals(samples: Iterable[Sample]) -> list[int | None]:
    return [one.traffic.total if one.traffic else None for one in samples]


class ScriptedLogs(CloudLogging):
    """Cloud Logging as a test says: `lines` with the moment that each can be seen from."""

    def __init__(self) -> None:
        super().__init__(NOWHERE)
        self.lines: list[tuple[datetime, LoggedRequest]] = []
        self.entries: list[LogEntry] = []
        self.now = START
        self.most = 5_000
        self.problem: VerificationError | None = None
        self.unreadable = 0
        self.asked: list[tuple[datetime, datetime]] = []

    def request(self, seconds: float, *, seen_after: float = 0.0, **changes: object) -> LoggedRequest:
        one = LoggedRequest(f"line-{len(self.lines)}", at(seconds), OURS, 200, 0.1, "Mozilla/5.0", "/")
        changed = replace(one, **changes)  # type: ignore[arg-type]
        self.lines.append((changed.at + timedelta(seconds=seen_after), changed))
        return changed

    def requests(self, since: datetime, until: datetime, most: int = 0) -> LoggedRequests:
        self.asked.append((since, until))
        if self.problem:
            raise self.problem
        there = [one for seen, one in self.lines if since <= one.at < until and seen <= self.now]
        return LoggedRequests(tuple(there[: most or self.most]), len(there) <= (most or self.most), self.unreadable)

    def troubles(self, since: datetime, until: datetime) -> tuple[LogEntry, ...]:
        return tuple(one for one in self.entries if since <= one.at < until)
