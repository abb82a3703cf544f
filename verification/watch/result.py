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


# What a criterion asks a watch for, and the criterion that was watched for it.
_CRITERIA = {
    "health": "service_stays_healthy",  # the health path's bad answers
    "error_rate": "cloud_run_error_rate",  # the share of users' requests that fail
    "p95_latency": "p95_latency",  # of users' requests
    "traffic": "traffic_matches_baseline",  # users' requests, as a share of what is usual
    "instances": "instance_count_in_range",
    "sentry_error_rate": "sentry_error_rate",  # errors for each transaction
    "new_error_types": "no_new_error_types",  # that neither production nor staging had before
    "critical_errors": "no_critical_errors",
    "database_errors": "no_database_connection_errors",  # lines of the log that tell of a lost database
    "restarts": "no_container_restarts",  # lines of the log that tell of a container that was killed
    "user_flows": "user_flows_keep_working",  # as the suite's own user goes through them
}


@dataclass(frozen=True, slots=True)
class WatchResult:
    """Each criterion that was watched, by its id, and as an attribute by the names above: `watch.p95_latency`.

    `why_not` is said of one that could not be watched at all.
    """

    criteria: Mapping[str, WatchedCriterion]
    why_not: str

    def __getattr__(self, name: str) -> WatchedCriterion:
        if name not in _CRITERIA:
            raise AttributeError(f"a watch knows nothing of {name}: it knows {', '.join(_CRITERIA)}")
        return self._of(_CRITERIA[name])

    def latency_of(self, dependency: str) -> WatchedCriterion:
        """The typical latency of what the service depends on."""
        return self._of(f"{dependency}_latency")

    def _of(self, criterion: str) -> WatchedCriterion:
        unseen = WatchedCriterion(Measurement(criterion, None), Judgement(reason=self.why_not, observed=False))
        return self.criteria.get(criterion, unseen)
