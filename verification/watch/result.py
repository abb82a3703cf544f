"""What a watch came to, by the names that its criteria ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verification.verdict import Measurement
from verification.watch.criteria.standing import Standing, WatchedCriterion


@dataclass(frozen=True, slots=True)
class WatchResult:
    """The conclusion about each criterion. `why_not` is said of one that could not be watched at all."""

    conclusions: Mapping[str, WatchedCriterion]
    why_not: str

    @property
    def health(self) -> WatchedCriterion:
        """The health path's bad answers."""
        return self._of("service_stays_healthy")

    @property
    def error_rate(self) -> WatchedCriterion:
        """The share of users' requests that fail."""
        return self._of("cloud_run_error_rate")

    @property
    def p95_latency(self) -> WatchedCriterion:
        """The 95th percentile of users' latency."""
        return self._of("p95_latency")

    @property
    def traffic(self) -> WatchedCriterion:
        """Users' requests, as a share of what is usual."""
        return self._of("traffic_matches_baseline")

    @property
    def instances(self) -> WatchedCriterion:
        """How many instances there are."""
        return self._of("instance_count_in_range")

    @property
    def sentry_error_rate(self) -> WatchedCriterion:
        """Errors for each transaction."""
        return self._of("sentry_error_rate")

    @property
    def new_error_types(self) -> WatchedCriterion:
        """Types of errors that neither production nor staging had before."""
        return self._of("no_new_error_types")

    @property
    def critical_errors(self) -> WatchedCriterion:
        """Those of them that are critical."""
        return self._of("no_critical_errors")

    @property
    def database_errors(self) -> WatchedCriterion:
        """Lines of the log that tell of a lost database."""
        return self._of("no_database_connection_errors")

    @property
    def restarts(self) -> WatchedCriterion:
        """Lines of the log that tell of a container that was killed."""
        return self._of("no_container_restarts")

    @property
    def user_flows(self) -> WatchedCriterion:
        """Flows that are broken, as the suite's own user goes through them."""
        return self._of("user_flows_keep_working")

    def latency_of(self, dependency: str) -> WatchedCriterion:
        """The typical latency of what the service depends on."""
        return self._of(f"{dependency}_latency")

    def _of(self, criterion: str) -> WatchedCriterion:
        unseen = WatchedCriterion(Measurement(criterion, None), Standing(None, self.why_not, observed=False))
        return self.conclusions.get(criterion, unseen)
