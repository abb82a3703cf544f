"""Where too few users came to judge by, the suite's own checks carry the verdict, and the report says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil

from verification.judge.confirmation import Answers
from verification.judge.judgement import Judgement, percent
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
    """The suite's own checks: how many were answered well or badly, and how long each took in ms.

    Bad ones within `burst_s`, once, prove nothing; they are counted in blocks of `block_s`. A bad answer makes that
    there are more soon after, so a share of all says little.
    """

    def __init__(self, block_s: float, burst_s: float) -> None:
        self._block_s, self._burst = block_s, ceil(burst_s / block_s - 1e-9)
        self._bad: Counter[int] = Counter()  # by block
        self._asked: Counter[int] = Counter()
        self.took_ms: Counter[float] = Counter()

    def add_sample(self, sample: Sample) -> None:
        """Count the sample in, if it is of a check."""
        if sample.missing or not sample.stream.startswith((HEALTH, FLOWS)):
            return
        block = int(sample.at.timestamp() / self._block_s)
        self._asked[block] += 1
        self._bad[block] += not sample.value
        if sample.took_ms is not None:
            self.took_ms[sample.took_ms] += 1

    def availability(self, limit: float) -> Judgement:
        """Whether they failed more often than `limit`, a share of one; a pass where they most likely did not."""
        asked, bad = self._asked.total(), self._bad.total()
        if asked < _FEWEST:
            return Judgement(reason=f"and only {asked} questions of the suite's own were answered", observed=False)
        words = f"{bad} of {asked} of the suite's own questions failed"
        if self._least_outside_burst > limit:
            return Judgement(Verdict.FAIL, words)
        answers = Answers(bad, asked, limit)
        if answers.lower_bound > limit:
            return Judgement(None, words)
        return Judgement(Verdict.PASS, f"{words}, at most {percent(answers.upper_bound)}")

    @property
    def _least_outside_burst(self) -> float:
        from verification.judge.sequential_test import lower_bound_outside_burst

        blocks = range(min(self._asked), max(self._asked) + 1)
        bad, asked = ([counts[block] for block in blocks] for counts in (self._bad, self._asked))
        return float(lower_bound_outside_burst(bad, asked, self._burst, _ALPHA))

    def latency(self, limit: float) -> Judgement:
        """Whether they were faster than `limit` seconds. Slow ones prove nothing: they all come from one place."""
        p95_ms = percentile(self.took_ms, _P95)
        words = f"the 95th percentile of the suite's own questions is {p95_ms or 0:.0f} ms"
        if p95_ms is None or self.took_ms.total() < _FEWEST or p95_ms >= limit * 1000:
            return Judgement(reason=f"and {words}", observed=False)
        return Judgement(Verdict.PASS, words)


class LowTrafficCriterion:
    """A criterion about users' requests; where fewer came than can be judged by, `instead` judges by own checks."""

    def __init__(
        self, users: TrafficCriterion[Block], own: OwnChecks, instead: Callable[[OwnChecks], Judgement]
    ) -> None:
        self.criterion = users.criterion
        self._users, self._own, self._instead = users, own, instead

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
