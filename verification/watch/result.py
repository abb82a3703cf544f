"""What a watch came to, by the names that the criteria ask for, to be held against their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from verification.errors import ObserverError, ServiceError
from verification.judge.judgement import Judgement
from verification.settings.monitor import Consequence
from verification.verdict import Measurement, Verdict, record

_FACTORS = {"%": 100.0, "ms": 1000.0}  # of a criterion's limit, a share of one or seconds, in the measurement's unit


@dataclass(frozen=True, slots=True)
class WatchedCriterion:
    """A criterion after its watch: the measurement and the judgement, for the criterion to hold against its limit.

    `cut_short` says why the watch ended before its time, if it did: then only what was certain by then counts.
    """

    measurement: Measurement
    judgement: Judgement
    when_ambiguous: Consequence = "rollback"
    when_unobserved: Consequence = "hold"
    cut_short: str = ""

    def must_stay_below(self, limit: float) -> None:
        """Hold the value to have stayed below `limit` (a share of one, or seconds)."""
        __tracebackhide__ = True
        self._hold("<", limit * _FACTORS.get(self.measurement.unit, 1.0))

    def must_stay_above(self, limit: float) -> None:
        """Hold the value to have stayed above `limit` (a share of one)."""
        __tracebackhide__ = True
        self._hold(">", limit * _FACTORS.get(self.measurement.unit, 1.0))

    def must_be_none(self) -> None:
        """Hold that nothing of the kind was seen."""
        __tracebackhide__ = True
        self._hold("=", 0)

    def must_stay_in_range(self) -> None:
        """Hold the value to have stayed in the range (the measurement's limit) that was expected before the watch."""
        __tracebackhide__ = True
        self._hold("between", str(self.measurement.limit))

    def _hold(self, rule: str, limit: float | str) -> None:
        """Record the measurement with its limit, then raise what the judgement says.

        ServiceError for a failure, and for what stays undecided where the settings say that it goes back; ObserverError
        for what stays undecided otherwise.
        """
        __tracebackhide__ = True
        judgement, measured = self.judgement, replace(self.measurement, limit=limit, rule=rule)
        if judgement.verdict is Verdict.PASS and not self.cut_short:
            record(replace(measured, note="; ".join(filter(None, (measured.note, judgement.reason)))))
            return
        record(measured)
        if judgement.verdict is Verdict.FAIL:
            raise ServiceError(judgement.reason)
        if self.cut_short:
            raise ObserverError(f"not watched to the end: {self.cut_short}")
        if judgement.observed:
            words = f"neither good nor proven bad: {judgement.reason}"
            if self.when_ambiguous == "rollback":
                raise ServiceError(words, 'monitor.when_ambiguous is "rollback": in doubt, the release goes back.')
            raise ObserverError(words, 'monitor.when_ambiguous is "hold": a person must look at this now.')
        if self.when_unobserved == "rollback":
            remedy = 'monitor.when_unobserved is "rollback": what nobody can see goes back.'
            raise ServiceError(f"not observed: {judgement.reason}", remedy)
        raise ObserverError(judgement.reason, "A person must look at this now, or watch again: `pytest -m monitor`.")


@dataclass(frozen=True, slots=True)
class WatchResult:
    """Each criterion that was watched, by its id. `why_not` is said of one that could not be watched at all."""

    criteria: Mapping[str, WatchedCriterion]
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
        unseen = WatchedCriterion(Measurement(criterion, None), Judgement(reason=self.why_not, observed=False))
        return self.criteria.get(criterion, unseen)
