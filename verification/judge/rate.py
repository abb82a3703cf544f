"""The judge of counts: did traffic drop, did Sentry's events rise? Pure, and of the shape of `verification.judge`.

A Poisson rate is held against what was normal before the deployment, with the same evidence over blocks; what varies
more than Poisson does tempers it (`dispersion`). Certainty fails at once and never rolls back by itself. At the end a
rate within its limit passes, to the letter; what is neither that nor surely beyond it is undecided, and so is what left
the limit lately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite
from typing import TYPE_CHECKING

from verification.judge.judgement import Judgement, is_count, plain_percent
from verification.judge.proportion import CONFIDENT_ALPHA, END_ALPHA, MOST_MISSING
from verification.settings.units import duration_text
from verification.verdict import Verdict

if TYPE_CHECKING:
    from verification.judge.sequential_test import Evidence

_HALF = 0.5
_FEWER = (0.01, 0.3, 0.7)  # alternatives, as multiples of the limit
_MORE = (1.5, 3.0, 10.0, 40.0)
_DROP_ALPHA = 5e-4
_RISE_ALPHA = 2.5e-3


@dataclass(frozen=True, slots=True)
class CountBlock:
    """How many there were in `seconds`. Raises ValueError for what cannot be: such a block is a missing one."""

    count: int
    seconds: float

    def __post_init__(self) -> None:
        if not is_count(self.count):
            raise ValueError(f"a block counts: expected a whole number from 0 on, not {self.count}")
        if not (isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"expected the seconds of a block, not {self.seconds}")


@dataclass(frozen=True)
class RateRule:
    """What is asked of a stream of counts. Raises ValueError for what makes no sense to ask."""

    noun: str  # "requests", "events"
    limit: float  # a second
    falling: bool  # whether fewer than the limit is bad; otherwise, whether more is
    block_s: float
    blocks: int  # most blocks that the watch may have, its extension included
    burst_s: float = 120  # tolerated
    dispersion: float = 1.0  # of the baseline

    def __post_init__(self) -> None:
        if not (isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"expected a rate above 0 as the limit, not {self.limit}")
        if not (isfinite(self.block_s) and self.block_s > 0 and isfinite(self.burst_s) and self.burst_s >= 0):
            raise ValueError(f"expected finite durations above 0, not {self.block_s}, {self.burst_s}")
        if self.blocks < 1 or not (isfinite(self.dispersion) and self.dispersion >= 1):
            raise ValueError(f"expected a block and a dispersion of 1 at least: {self.blocks}, {self.dispersion}")

    @property
    def alpha(self) -> float:
        """How probable a false fail may be."""
        return _DROP_ALPHA if self.falling else _RISE_ALPHA

    @property
    def burst_blocks(self) -> int:
        """How many blocks a tolerated burst may touch."""
        return ceil(self.burst_s / self.block_s - 1e-9)


def traffic_rule(baseline: CountBlock, block_s: float, blocks: int, dispersion: float = 1.0) -> RateRule:
    """No drop below half the baseline. Raises ValueError without a request before: there is nothing to drop from."""
    limit = _HALF * baseline.count / baseline.seconds
    return RateRule("requests", limit, falling=True, block_s=block_s, blocks=blocks, dispersion=dispersion)


def event_rate_rule(baseline: CountBlock, block_s: float, blocks: int, dispersion: float = 1.0) -> RateRule:
    """No more events than the exact upper bound (95 %) of the baseline."""
    from verification.judge.sequential_test import count_bounds

    limit = count_bounds(baseline.count, CONFIDENT_ALPHA, dispersion)[1] / baseline.seconds
    return RateRule("events", limit, falling=False, block_s=block_s, blocks=blocks, dispersion=dispersion)


@dataclass(frozen=True)
class RateJudge:
    """A stream of counts as judged so far; immutable. Judges that saw the same blocks under the same rule are equal."""

    rule: RateRule
    blocks: tuple[CountBlock | None, ...]
    decided: Judgement | None  # what became certain, as it was then
    _evidence: Evidence = field(repr=False, compare=False)

    @classmethod
    def start(cls, rule: RateRule) -> RateJudge:
        """Nothing was seen yet."""
        from verification.judge.sequential_test import Evidence

        return cls(rule, (), None, Evidence.start(rule.burst_blocks, rule.blocks, len(_alternatives(rule))))

    def after(self, block: CountBlock | None) -> RateJudge:
        """The judge after one more block; None: it is missing. Raises ValueError beyond `rule.blocks`."""
        from verification.judge.sequential_test import count_ratios

        rule = self.rule
        if len(self.blocks) == rule.blocks:
            raise ValueError(f"the watch was to have {rule.blocks} blocks at most")
        if block is None:
            evidence = self._evidence.after_gap()
        else:
            ratios = count_ratios(block.count, rule.limit * block.seconds, _alternatives(rule), rule.dispersion)
            evidence = self._evidence.after(ratios, observed=True)
        after = RateJudge(rule, (*self.blocks, block), self.decided, evidence)
        if self.decided is not None or not evidence.reaches(rule.alpha):
            return after
        sure = f"with {plain_percent(1 - rule.alpha)} confidence"
        sure += f", even without the worst {duration_text(rule.burst_s)}" if rule.burst_s else ""
        side = "fewer" if rule.falling else "more"
        return replace(after, decided=after._found("certain", f"{side} than the limit {sure}", Verdict.FAIL))

    @property
    def so_far(self) -> Judgement:
        """So far: a fail once it is certain, undecided until then."""
        return self.decided or self._found("", "", observed=any(self.blocks))

    def at_end(self) -> Judgement:
        """The verdict when the watch is over; what is undecided, an extension may still settle."""
        if self.decided is not None:
            return self.decided
        rule, missing = self.rule, self.blocks.count(None)
        if missing == len(self.blocks):
            return self._found("no data", "nothing was observed", observed=False)
        if missing > MOST_MISSING * len(self.blocks):
            gaps = f"{missing} of {len(self.blocks)} blocks are missing"
            return self._found("missing blocks", f"too little was observed: {gaps}", observed=False)
        if self._beyond(_rate(self.blocks)):
            return self._found("limit", "not within the limit, and not surely beyond it")
        low, high = _bounds(rule, self.blocks[-max(1, rule.burst_blocks) :], END_ALPHA)
        if self._beyond(high if rule.falling else low):
            return self._found("late burst", "within the limit as a whole, but beyond it lately")
        low, high = _bounds(rule, self.blocks, CONFIDENT_ALPHA)
        how = "thin evidence" if self._beyond(low if rule.falling else high) else "confident"
        return self._found(how, how, Verdict.PASS)

    def _beyond(self, rate: float) -> bool:
        return rate < self.rule.limit if self.rule.falling else rate > self.rule.limit

    def _found(self, rule: str, words: str, verdict: Verdict | None = None, *, observed: bool = True) -> Judgement:
        """A judgement; its words follow the numbers: `120 requests in 5m (24 a minute, at least 30 expected; ...)`."""
        count, seconds = _sums(self.blocks)
        limit = f"at {'least' if self.rule.falling else 'most'} {60 * self.rule.limit:.3g} a minute expected"
        rate = f"{60 * _rate(self.blocks):.3g} a minute, {limit}" if seconds else limit
        about = f"{count:,} {self.rule.noun} in {duration_text(round(seconds))} ({rate})"
        return Judgement(verdict, f"{about}: {words}" if words else about, observed=observed, rule=rule)


def _alternatives(rule: RateRule) -> tuple[float, ...]:
    return _FEWER if rule.falling else _MORE


def _sums(blocks: Sequence[CountBlock | None]) -> tuple[int, float]:
    known = [block for block in blocks if block is not None]
    return sum(int(block.count) for block in known), sum(block.seconds for block in known)


def _rate(blocks: Sequence[CountBlock | None]) -> float:
    count, seconds = _sums(blocks)
    return count / seconds


def _bounds(rule: RateRule, blocks: Sequence[CountBlock | None], alpha: float) -> tuple[float, float]:
    """The exact bounds of the rate, each at `alpha`; without a limit where nothing was observed."""
    from verification.judge.sequential_test import count_bounds

    count, seconds = _sums(blocks)
    if not seconds:
        return 0.0, float("inf")
    low, high = count_bounds(count, alpha, rule.dispersion)
    return low / seconds, high / seconds
