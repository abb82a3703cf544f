"""Where too few users came to judge by, the suite's own questions carry the verdict, and the report says so."""

from __future__ import annotations

from collections.abc import Callable

from verification.series import Series, WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.criteria.standing import Standing
from verification.watch.criteria.traffic import TrafficCriterion, percentile
from verification.watch.samples import Sample

_FEWEST = 20  # own questions; fewer are no evidence either
_ALPHA = 2.5e-3
_P95 = 0.95


class OwnChecks:
    """The suite's own questions: how many were answered well, and how long each took in ms."""

    def __init__(self) -> None:
        self.good = self.bad = 0
        self.took: dict[float, int] = {}

    def add_sample(self, sample: Sample) -> None:
        """Take a sample in, if it is one of theirs."""
        if sample.missing or not sample.stream.startswith((HEALTH, FLOWS)):
            return
        self.good += bool(sample.value)
        self.bad += not sample.value
        if sample.took_ms is not None:
            self.took[sample.took_ms] = self.took.get(sample.took_ms, 0) + 1

    def availability(self, limit: float) -> Standing:
        """Whether they failed more often than `limit`, a share of one."""
        from verification.judge.sequential_test import lower_bound

        asked = self.good + self.bad
        words = f"{self.bad} of {asked} of the suite's own questions failed"
        if asked < _FEWEST:
            return Standing(None, f"and only {asked} questions of the suite's own were answered", observed=False)
        if float(lower_bound(self.bad, asked, _ALPHA)) > limit:
            return Standing(Verdict.FAIL, words)
        return Standing(Verdict.PASS if self.bad < limit * asked else None, words)

    def latency(self, limit: float) -> Standing:
        """Whether they were faster than `limit` seconds. Slow ones prove nothing: they all come from one place."""
        found = percentile(self.took, _P95)
        words = f"the 95th percentile of the suite's own questions is {found or 0:.0f} ms"
        if found is None or sum(self.took.values()) < _FEWEST or found >= limit * 1000:
            return Standing(None, f"and {words}", observed=False)
        return Standing(Verdict.PASS, words)


class LowTrafficCriterion:
    """A criterion about users' requests that asks `instead` where fewer came than can be judged by."""

    def __init__(self, users: TrafficCriterion, own: OwnChecks, instead: Callable[[], Standing]) -> None:
        self.criterion = users.criterion
        self._users, self._own, self._instead = users, own, instead

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        self._users.add_sample(sample)
        self._own.add_sample(sample)

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        found = self._users.judge(at_end=at_end)
        if not at_end or found.verdict is not None or not self._users.too_few_came:
            return found
        other = self._instead()
        return Standing(other.verdict, f"too few users to judge by ({found.reason}); {other.reason}", observed=False)

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        return self._users.measurement()

    def series(self) -> Series:
        """See SampleJudge."""
        return self._users.series()

    def row(self) -> WatchRow:
        """See SampleJudge."""
        return self._users.row()
