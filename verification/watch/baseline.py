"""What is normal for a service: half an hour of its traffic before a deployment, which the watch holds it against.

How its errors come in spells is known from a whole day: half an hour has too few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean, variance

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.clients.google.cloud_monitoring import CloudMonitoring, Histogram, RevisionTraffic
from verification.errors import ObserverError, VerificationError
from verification.judge.dispersion import INDEPENDENT, Dispersion, dispersion_of
from verification.records.atomic import write_whole

WINDOW = timedelta(minutes=30)
_HISTORY = timedelta(hours=24)
_LATELY = timedelta(minutes=5)
_P95 = 0.95


class Minute(BaseModel):
    """One minute of traffic: requests, and how many of them ended in a 5xx."""

    model_config = ConfigDict(frozen=True)

    requests: int
    errors: int


class Baseline(BaseModel):
    """The half hour before `until`. `latencies_ms` is what the deep health said of each dependency, once.

    `dispersion` is that of the errors, of a longer time where that could be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    since: datetime
    until: datetime
    minutes: tuple[Minute, ...]  # those without a request too
    p95_ms: float | None
    instances: tuple[int, int] | None  # fewest and most
    latencies_ms: dict[str, float]
    dispersion: Dispersion = INDEPENDENT

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return sum(minute.requests for minute in self.minutes)

    @property
    def errors(self) -> int:
        """How many of them ended in a 5xx."""
        return sum(minute.errors for minute in self.minutes)

    @property
    def rpm(self) -> float:
        """Requests a minute."""
        return self.requests * 60 / (self.until - self.since).total_seconds()

    @property
    def error_rate(self) -> float | None:
        """The share of requests that ended in a 5xx; None without requests."""
        return self.errors / self.requests if self.requests else None

    @property
    def request_dispersion(self) -> float:
        """How much more the number of requests varies from minute to minute than of independent ones; 1 at least."""
        counts = [minute.requests for minute in self.minutes]
        if len(counts) < 2 or not self.requests:
            return 1.0
        return max(1.0, variance(counts) / mean(counts))


def baseline_of(
    service: str,
    until: datetime,
    traffic: Iterable[RevisionTraffic],
    instances: Iterable[tuple[datetime, int]] = (),
    latencies_ms: Mapping[str, float] | None = None,
) -> Baseline:
    """The baseline of the half hour before `until`; what lies outside of it is left out."""
    since, points = until - WINDOW, list(traffic)
    minutes = _minutes(points, since, until)
    latencies = sum((point.latencies for point in points if since < point.end <= until), Histogram())
    running = [count for at, count in instances if since < at <= until]
    return Baseline(
        service=service,
        since=since,
        until=until,
        minutes=tuple(Minute(requests=total, errors=errors) for errors, total in minutes),
        p95_ms=latencies.percentile(_P95),
        instances=(min(running), max(running)) if running else None,
        latencies_ms=dict(latencies_ms or {}),
        dispersion=dispersion_of(minutes),
    )


def _minutes(traffic: Iterable[RevisionTraffic], since: datetime, until: datetime) -> list[tuple[int, int]]:
    """Errors and requests of each minute from `since` to `until`; what lies outside of them is left out."""
    counts = [[0, 0] for _ in range(int((until - since).total_seconds() // 60))]
    for point in traffic:
        minute = int((point.end - since).total_seconds() - 1e-6) // 60
        if since < point.end <= until and minute < len(counts):
            counts[minute][0] += point.errors
            counts[minute][1] += point.requests
    return [(errors, total) for errors, total in counts]


def latest_visible(monitoring: CloudMonitoring, now: datetime) -> datetime:
    """The end of the last sample that can be seen at `now`. Raises ObserverError."""
    period, delay = monitoring.delay()
    return now - timedelta(seconds=period + delay)


def read_baseline(
    monitoring: CloudMonitoring, service: str, until: datetime, latencies_ms: Mapping[str, float] | None = None
) -> Baseline:
    """The half hour before `until`. Raises ObserverError."""
    since = until - WINDOW - timedelta(minutes=1)
    traffic, instances = monitoring.traffic(since, until), monitoring.instances(since, until)
    return baseline_of(service, until, traffic, instances, latencies_ms)


def with_history(monitoring: CloudMonitoring, baseline: Baseline) -> Baseline:
    """The same with the dispersion of the day before, as far as the revision goes back that served at last.

    What was deployed earlier, and may have been taken back for its errors, says nothing about what is usual. A history
    that cannot be read costs no baseline.
    """
    since, until = baseline.until - _HISTORY, baseline.until
    try:
        points = monitoring.requests(since, until)
    except VerificationError:
        return baseline
    last = {point.revision for point in points if until - _LATELY < point.end <= until and point.requests}
    minutes = _minutes((point for point in points if point.revision in last), since, until)
    return baseline.model_copy(update={"dispersion": dispersion_of(minutes)}) if last else baseline


def file_of(output: Path, environment: str) -> Path:
    """Where the baseline of an environment is kept."""
    return output / f"baseline-{environment}.json"


def store(path: Path, baseline: Baseline) -> None:
    """Keep it. Raises ObserverError."""
    try:
        write_whole(path, baseline.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise ObserverError(f"the baseline could not be kept in {path}: {error.strerror}", "Free that place.") from None


def stored(path: Path) -> Baseline | None:
    """The one that was kept, if there is one. Raises ObserverError for a file that is none."""
    try:
        return Baseline.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ObserverError(f"{path} is no baseline: {type(error).__name__}", "Remove it, and run `-m pre`.") from None
