"""Where too few users came to judge by, the suite's own checks carry the verdict, and the report says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from verification.judge.judgement import Judgement
from verification.judge.proportion import Block
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.criteria.traffic import TrafficCriterion, percentile
from verification.watch.samples import Sample

_FEWEST = 20  # own checks; fewer are no evidence either
_ALPHA = 2.5e-3
_P95 = 0.95


class OwnChecks:
    """The suite's own checks: how many were answered well or badly, and how long each took in ms."""

    def __init__(self) -> None:
        self.good = self.bad = 0
        self.took_ms: Counter[float] = Counter()

    def add_sample(self, sample: Sample) -> None:
        """Count the sample in, if it is of a check."""
        if sample.missing or not sample.stream.startswith((HEALTH, FLOWS)):
            return
        self.good += bool(sample.value)
        self.bad += not sample.value
        if sample.took_ms is not None:
            self.took_ms[sample.took_ms] += 1

    def availability(self, limit: float) -> Judgement:
        """Whether they failed more often than `limit`, a share of one."""
        from verification.judge.sequential_test import lower_bound

        asked = self.good + self.bad
        words = f"{self.bad} of {asked} of the suite's own questions failed"
        if asked < _FEWEST:
            return Judgement(reason=f"and only {asked} questions of the suite's own were answered", observed=False)
        if float(lower_bound(self.bad, asked, _ALPHA)) > limit:
            return Judgement(Verdict.FAIL, words)
        return Judgement(Verdict.PASS if self.bad < limit * asked else None, words)

    def latency(self, limit: float) -> Judgement:
        """Whether they were faster than `limit` seconds. Slow ones prove nothing: they all come from one place."""
        p95_ms = percentile(self.took_ms, _P95)
        words = f"the 95th percentile of the suite's own questions is {p95_ms or 0:.0f} ms"
        if p95_ms is None or self.took_ms.total() < _FEWEST or p95_ms >= limit * 1000:
            return Judgement(reason=f"and {words}", observed=False)
        return Judgement(Verdict.PASS, words)


class LowTrafficCriterion:
    """A criterion about users' requests; where fewer came than can be judged by, `instead` judges by own checks."""

    def __init__(self, users: TrafficCriterion[Block], instead: Callable[[OwnChecks], Judgement]) -> None:
        self.criterion = users.criterion
        self._users, self._own, self._instead = users, OwnChecks(), instead

    def add_sample(self, sample: Sample) -> None:
        """Count the sample in, as users' requests or as a check of our own; never as both."""
        self._users.add_sample(sample)
        self._own.add_sample(sample)

    def judge(self, *, at_end: bool) -> Judgement:
        """The users' judgement; at the end and where too few came, that of the suite's own checks."""
        by_users = self._users.judge(at_end=at_end)
        if not at_end or by_users.verdict is not None or not self._users.too_few_came:
            return by_users
        by_checks = self._instead(self._own)
        reason = f"too few users to judge by ({by_users.reason}); {by_checks.reason}"
        return Judgement(by_checks.verdict, reason, observed=False)

    def measurement(self) -> Measurement:
        """The users' measurement: the suite's own checks are never pooled with them."""
        return self._users.measurement()

    def row(self) -> WatchRow:
        """The users' row."""
        return self._users.row()
