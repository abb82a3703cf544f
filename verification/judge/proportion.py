"""The judge of proportions: blocks of requests in, a verdict out. Pure: no I/O, no clock.

A 95th percentile below 500 ms is a share of less than 5 % above 500 ms, so error rates and latencies are judged alike.
The checklist's rules are kept to the letter; beside them stands evidence that is valid however often it is looked at:

1. The literal rule (five one-minute samples in a row, each with more than 5 % severe requests) rolls back, always. So
   does certainty that more than 5 % are severe, a tolerated burst aside.
2. Certainty that the limit is broken, or that it is worse than before the deployment, fails at once.
3. At the end, a share below the limit that is not proven broken passes, and says whether it is "confident" (its upper
   bound is below the limit, too) or "thin evidence".
4. Everything else is undecided. Not observed: no request, more than a fifth of the blocks missing, fewer requests than
   the minimum, or so few that with those that were bad, twice the limit is not ruled out (99 %). Observed, and
   ambiguous: a share that is not below the limit, or one that was bad lately.

So "undecided" means neither pass nor fail under these rules, and not "no confident pass": a service with .9 % errors is
within a limit of 1 %. Whoever watches extends an undecided watch, and asks again.

A tolerated burst touches at most ceil(its length / block_s) blocks; one that straddles one block more is not tolerated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, isfinite
from typing import TYPE_CHECKING

from verification.judge.dispersion import INDEPENDENT, Dispersion
from verification.judge.judgement import Judgement, aside, is_count, percent, plain_percent
from verification.settings.units import duration_text
from verification.verdict import Verdict

if TYPE_CHECKING:
    from verification.judge.sequential_test import Evidence, Floats

ROLL_BACK_ALPHA = 5e-4
FAIL_ALPHA = 4.5e-3
END_ALPHA = 2.5e-3
LATE_ALPHA = 0.01  # of a bad end: that doubt costs an extension, and seldom comes twice
CONFIDENT_ALPHA = 0.05
TWICE_ALPHA = 0.01  # so rarely does a service that is bad twice as often as it may pass
MOST_MISSING = 0.2
SAMPLES = 5  # the checklist's "5+ minutes" are that many samples in a row
_WORSE, _SLACK = 1.5, 0.001  # times the upper bound of the baseline, and a tenth of a percentage point more


@dataclass(frozen=True, slots=True)
class Block:
    """One closed block of a stream. Raises ValueError for counts that cannot be: such a block is a missing one."""

    total: int
    over_limit: int  # surely over the limit: errors, answers slower than the limit
    possibly_over_limit: int  # the same as a pass counts it: every histogram bucket that reaches above
    severe: int  # surely over what rolls back at once: errors again, answers slower than 2000 ms

    def __post_init__(self) -> None:
        counts = (self.severe, self.over_limit, self.possibly_over_limit, self.total)
        if not all(map(is_count, counts)):
            raise ValueError(f"a block counts requests: expected whole numbers from 0 on, not {counts}")
        if list(counts) != sorted(counts):
            raise ValueError(f"expected severe <= over_limit <= possibly_over_limit <= total, not {counts}")


@dataclass(frozen=True)
class ProportionRule:
    """What is asked of a stream of requests. Raises ValueError for what makes no sense to ask."""

    noun: str  # what a bad request did: "requests failed", "requests took longer than 500 ms"
    limit: float  # the share that may be over the limit: .01 for errors, .05 for a 95th percentile
    roll_back_at: float  # the share of severe requests that rolls back
    block_s: float
    blocks: int  # most blocks that the watch may have, its extension included
    severe_noun: str = ""  # what a severe request did, where that is something else
    lasting_s: float = 300  # of the literal rule: five samples in a row, of a fifth of this each
    burst_fail_s: float = 120  # tolerated, except by the literal rule
    burst_roll_back_s: float = 60
    dispersion: Dispersion = INDEPENDENT  # before the deployment: at most, for what is proven; as it is, for a pass
    baseline: tuple[int, int] | None = None  # (bad, total) before the deployment
    minimum: int = 300  # fewer requests than this are at best inconclusive

    def __post_init__(self) -> None:
        if not (0 < self.limit <= 0.9 and 0 < self.roll_back_at <= 0.9):
            raise ValueError(f"expected limits above 0, of at most 0.9: {self.limit}, {self.roll_back_at}")
        times = (self.block_s, self.lasting_s, self.burst_fail_s, self.burst_roll_back_s)
        if not all(isfinite(seconds) and seconds >= 0 for seconds in times) or not (self.block_s and self.lasting_s):
            raise ValueError(f"expected finite durations above 0, not {times}")
        if self.blocks < 1:
            raise ValueError(f"expected a block at least, not {self.blocks}")
        if self.baseline and not (all(map(is_count, self.baseline)) and self.baseline[0] <= self.baseline[1]):
            raise ValueError(f"expected (bad, total) of the baseline, not {self.baseline}")

    @property
    def sample_blocks(self) -> int:
        """How many blocks make one sample of the literal rule."""
        return max(1, round(self.lasting_s / SAMPLES / self.block_s))

    @property
    def samples(self) -> int:
        """How many samples in a row last long enough: five, or fewer where a block is longer than a sample."""
        return ceil(self.lasting_s / (self.sample_blocks * self.block_s) - 1e-9)

    @cached_property
    def baseline_limit(self) -> float | None:
        """The share above which a stream is worse than before the deployment, where that is stricter than `limit`."""
        if self.baseline is None or not self.baseline[1]:
            return None
        from verification.judge.sequential_test import upper_bound

        limit = _WORSE * float(upper_bound(*self.baseline, CONFIDENT_ALPHA, self.dispersion.at_most)) + _SLACK
        return limit if limit < self.limit else None

    def burst_blocks(self, seconds: float) -> int:
        """How many blocks a tolerated burst of that length may touch."""
        return ceil(seconds / self.block_s - 1e-9)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The counts of all blocks that were observed, and how many were not."""

    total: int
    over: int
    possibly: int
    severe: int
    missing: int

    @classmethod
    def of(cls, blocks: Sequence[Block | None]) -> _Sums:
        known = [block for block in blocks if block is not None]
        rows = [(block.total, block.over_limit, block.possibly_over_limit, block.severe) for block in known]
        total, over, possibly, severe = (int(sum(column)) for column in zip((0, 0, 0, 0), *rows, strict=True))
        return cls(total, over, possibly, severe, len(blocks) - len(known))

    def upper(self, rule: ProportionRule, alpha: float = CONFIDENT_ALPHA) -> float:
        from verification.judge.sequential_test import upper_bound

        return float(upper_bound(self.possibly, self.total, alpha, rule.dispersion.likely))

    def words(self, rule: ProportionRule, broken: str = "") -> str:
        """`20 of 1,003 requests failed (1.99 %, at most 2.88 % with 95 % confidence; limit 1 %)`, or its breach."""
        if not self.total:
            return f"0 of 0 {rule.noun}"
        share = (self.over if broken else self.possibly) / self.total
        how = broken or f"at most {percent(self.upper(rule))} with {plain_percent(1 - CONFIDENT_ALPHA)} confidence"
        count = f"{self.over:,}" if self.over == self.possibly else f"{self.over:,} to {self.possibly:,}"
        return f"{count} of {self.total:,} {rule.noun} ({percent(share)}, {how}; limit {plain_percent(rule.limit)})"


@dataclass(frozen=True)
class ProportionJudge:
    """A stream as judged so far; immutable. Judges that saw the same blocks under the same rule are equal."""

    rule: ProportionRule
    blocks: tuple[Block | None, ...]
    decided: Judgement | None  # what became certain, as it was then
    _severe: Evidence = field(repr=False, compare=False)
    _over: Evidence = field(repr=False, compare=False)
    _worse: Evidence | None = field(repr=False, compare=False)  # than before the deployment

    @classmethod
    def start(cls, rule: ProportionRule) -> ProportionJudge:
        """Nothing was seen yet."""
        from verification.judge.sequential_test import Evidence

        bursts = map(rule.burst_blocks, (rule.burst_roll_back_s, rule.burst_fail_s))
        severe, over = (Evidence.start(burst, rule.blocks) for burst in bursts)
        return cls(rule, (), None, severe, over, over if rule.baseline_limit else None)

    def after(self, block: Block | None) -> ProportionJudge:
        """The judge after one more block; None: it is missing. Raises ValueError beyond `rule.blocks`."""
        rule = self.rule
        if len(self.blocks) == rule.blocks:
            raise ValueError(f"the watch was to have {rule.blocks} blocks at most")
        severe, over = (block.severe, block.over_limit) if block else (0, 0)
        after = ProportionJudge(
            rule,
            (*self.blocks, block),
            self.decided,
            _step(self._severe, block, severe, rule.roll_back_at, rule),
            _step(self._over, block, over, rule.limit, rule),
            self._worse and _step(self._worse, block, over, rule.baseline_limit or rule.limit, rule),
        )
        found = after._certain()
        if found is None or (self.decided is not None and (self.decided.roll_back or not found.roll_back)):
            return after
        return replace(after, decided=found)

    @cached_property
    def _counts(self) -> _Sums:
        return _Sums.of(self.blocks)

    @property
    def so_far(self) -> Judgement:
        """So far: a fail once it is certain, undecided until then."""
        return self.decided or Judgement(reason=self._counts.words(self.rule), observed=self._counts.total > 0)

    def at_end(self) -> Judgement:
        """The verdict when the watch is over; what is undecided, an extension may still settle."""
        if self.decided is not None:
            return self.decided
        from verification.judge.sequential_test import lower_bound_lately, lower_bound_outside_burst

        rule, counts = self.rule, self._counts
        words = counts.words(rule)
        if not counts.total:
            return Judgement(None, "no request was observed", observed=False, rule="no data")
        proven = self._lower(lower_bound_outside_burst, END_ALPHA)
        if proven > rule.limit:
            more = f"at least {percent(proven)} with {plain_percent(1 - END_ALPHA)} confidence"
            return Judgement(Verdict.FAIL, counts.words(rule, more + aside(rule.burst_fail_s)), rule="exact bound")
        if counts.missing > MOST_MISSING * len(self.blocks):
            gaps = f"too little was observed: {counts.missing} of {len(self.blocks)} blocks are missing"
            return Judgement(None, f"{gaps}; {words}", observed=False, rule="missing blocks")
        if counts.total < rule.minimum:
            few = f"thin evidence: {counts.total} requests, fewer than {rule.minimum}"
            return Judgement(None, f"{few}; {words}", observed=False, rule="minimum")
        if counts.possibly / counts.total >= rule.limit:
            return Judgement(None, f"not within the limit, and not surely beyond it: {words}", rule="limit")
        most = counts.upper(rule, TWICE_ALPHA)
        if counts.possibly and most >= 2 * rule.limit:
            sure = f"as many as {percent(most)} are possible, with {plain_percent(1 - TWICE_ALPHA)} confidence no more"
            return Judgement(None, f"thin evidence, {sure}: {words}", observed=False, rule="twice the limit")
        lately = self._lower(lower_bound_lately, LATE_ALPHA)
        if lately > rule.limit:
            recent = f"at least {percent(lately)} at the end, and a burst that is not over may be none"
            return Judgement(None, f"within the limit as a whole, bad lately ({recent}): {words}", rule="late burst")
        how = "confident" if counts.upper(rule) < rule.limit else "thin evidence"
        return Judgement(Verdict.PASS, f"{how}: {words}", rule=how)

    def _certain(self) -> Judgement | None:
        """What the latest block made certain, the worst first."""
        rule, counts = self.rule, self._counts
        severe = rule.severe_noun or rule.noun
        if run := self._literal_run():
            shares = ", ".join(percent(share) for share in run)
            sample = duration_text(rule.sample_blocks * rule.block_s)
            words = f"more than {plain_percent(rule.roll_back_at)} of {severe} in each of {len(run)} samples in a row"
            return Judgement(Verdict.FAIL, f"{words}, of {sample} each: {shares}", roll_back=True, rule="literal")
        if self._severe.reaches(ROLL_BACK_ALPHA):
            share = f"{percent(counts.severe / counts.total)}, more than {plain_percent(rule.roll_back_at)}"
            sure = f"with {plain_percent(1 - ROLL_BACK_ALPHA)} confidence{aside(rule.burst_roll_back_s)}"
            words = f"{counts.severe:,} of {counts.total:,} {severe} ({share} {sure})"
            return Judgement(Verdict.FAIL, words, roll_back=True, rule="certain")
        sure = f"with {plain_percent(1 - FAIL_ALPHA)} confidence{aside(rule.burst_fail_s)}"
        if self._over.reaches(FAIL_ALPHA):
            return Judgement(Verdict.FAIL, counts.words(rule, f"more than the limit {sure}"), rule="limit")
        if self._worse is not None and self._worse.reaches(FAIL_ALPHA) and rule.baseline and rule.baseline_limit:
            before = f"{rule.baseline[0]:,} of {rule.baseline[1]:,} before the deployment"
            more = f"more than {percent(rule.baseline_limit)} {sure}, which is worse than {before}"
            return Judgement(Verdict.FAIL, counts.words(rule, more), rule="baseline")
        return None

    def _literal_run(self) -> tuple[float, ...]:
        """The shares of the samples in a row that the latest block completed, when every one is above the line."""
        rule = self.rule
        size, wanted = rule.sample_blocks, rule.sample_blocks * rule.samples
        if len(self.blocks) % size or len(self.blocks) < wanted:
            return ()
        samples = [_Sums.of(self.blocks[-wanted:][at : at + size]) for at in range(0, wanted, size)]
        if any(sample.missing or not sample.total for sample in samples):
            return ()  # a gap is no evidence
        # Divided, not multiplied: 7 of 100 are exactly 7 %, and .07 * 100 is a little more than 7.
        shares = tuple(sample.severe / sample.total for sample in samples)
        return shares if min(shares) > rule.roll_back_at else ()

    def _lower(self, bound: Callable[..., Floats], alpha: float) -> float:
        """One of the exact bounds of the share over the limit that look at the single blocks."""
        counts = [(block.over_limit, block.total) if block else (0, 0) for block in self.blocks]
        bad, total = zip(*counts, strict=True)
        return float(
            bound(bad, total, self.rule.burst_blocks(self.rule.burst_fail_s), alpha, self.rule.dispersion.at_most)
        )


def _step(evidence: Evidence, block: Block | None, bad: int, limit: float, rule: ProportionRule) -> Evidence:
    """The evidence that more than `limit` are bad, after one more block."""
    if block is None:
        return evidence.after_gap()
    from verification.judge.sequential_test import share_ratios

    return evidence.after(share_ratios(bad, block.total, limit, rule.dispersion.at_most), observed=block.total > 0)
