"""The second watch: a while after a deployment was through, as Cloud Monitoring saw it. Nothing here waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from verification.clients.google.cloud_monitoring import SYSTEM, CloudMonitoring, Histogram, RevisionTraffic
from verification.errors import NotAsked, ObserverError
from verification.probe import probe
from verification.records.deployments import FollowedDeployment
from verification.settings.model import Limits, Settings
from verification.verdict import Measurement

_ENOUGH = 100  # requests: the slowest 5 % of fewer are a handful


@dataclass(frozen=True, slots=True)
class SecondWatch:
    """What `revision` served between `start` and `end`."""

    revision: str
    start: datetime
    end: datetime
    requests: int
    errors: int
    latencies: Histogram

    def must_be_quiet(self, limits: Limits) -> None:
        """Hold error rate and p95 latency below their limits."""
        __tracebackhide__ = True
        self.error_rate(limits).must_be_below(limits.error_rate * 100)
        self.p95_latency(limits).must_be_below(limits.p95_latency * 1000)

    def error_rate(self, limits: Limits) -> Measurement:
        """Answers 5xx, in percent. One error among fewer requests than tell a rate is no measurement."""
        share = 100 * self.errors / self.requests if self.requests else None
        problem = None if self.requests else self._nobody()
        if self.errors and self.requests * limits.error_rate < 1:
            problem = ObserverError(
                f"{self.errors} errors in {self.requests} requests: too few to tell a rate", "Look at each error."
            )
        return self._measured("error rate", None if share is None else round(share, 3), "%", problem)

    def p95_latency(self, limits: Limits) -> Measurement:
        """What 95 % of the requests did not exceed, in ms. That a few were slow is no measurement."""
        value = self.latencies.percentile(0.95)
        problem = None if self.requests else self._nobody()
        if value is not None and value >= limits.p95_latency * 1000 and self.requests < _ENOUGH:
            problem = ObserverError(
                f"95 % of {self.requests} requests within {value:.0f} ms: slow, but too few to tell",
                "Look at the latencies of a longer time.",
            )
        return self._measured("p95 latency", None if value is None else round(value), "ms", problem)

    def _measured(self, name: str, value: float | None, unit: str, problem: ObserverError | None) -> Measurement:
        return Measurement(
            name,
            value,
            unit,
            source=SYSTEM,
            observed_at=self.end,
            samples=self.requests,
            window_s=(self.end - self.start).total_seconds(),
            note=f"{self.revision}, {_shown(self.start)} to {_shown(self.end)} UTC",
            problem=problem,
        )

    def _nobody(self) -> ObserverError:
        return ObserverError(
            f"{SYSTEM} has no request of {self.revision} between {_shown(self.start)} and {_shown(self.end)} UTC",
            "Without traffic nothing can be said of it.",
        )


@probe
def second_watch(
    settings: Settings,
    followed_deployment: FollowedDeployment,
    cloud_monitoring: CloudMonitoring | None,
    clock: Callable[[], datetime],
) -> SecondWatch:
    """What was served in it. Raises NotAsked before it is over, ObserverError."""
    if cloud_monitoring is None:
        raise NotAsked("no Cloud Run service is configured", "Add a table cloud_run to the environment.")
    start = followed_deployment.through
    end = start + timedelta(seconds=settings.followup.second_watch)
    visible = clock() - timedelta(seconds=sum(cloud_monitoring.delay()))
    if visible < end:
        raise NotAsked(
            f"the second watch lasts until {_shown(end)} UTC, and {SYSTEM} shows it "
            f"{(end - visible).total_seconds():.0f} s from now",
            f"Ask again then: `pytest -m followup --env {settings.environment}`",
        )
    return watched(followed_deployment.serves, start, end, cloud_monitoring.traffic(start, end))


def watched(revision: str, start: datetime, end: datetime, traffic: Iterable[RevisionTraffic]) -> SecondWatch:
    """The sums over what `revision` served. Raises ObserverError where latencies cannot be added."""
    own = [point for point in traffic if point.revision == revision]
    try:
        latencies = sum((point.latencies for point in own), Histogram())
    except ValueError as problem:
        raise ObserverError(f"{SYSTEM}: {problem}", "Ask again for a shorter watch.") from None
    requests, errors = sum(point.requests for point in own), sum(point.errors for point in own)
    return SecondWatch(revision, start, end, requests, errors, latencies)


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
