"""The judge of counts: did traffic drop? Pure, and of the shape of `verification.judge`.

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

from verification.judge.judgement import Judgement, aside, is_count, plain_percent
from verification.judge.proportion import CONFIDENT_ALPHA, END_ALPHA, MOST_MISSING
from verification.settings.units import duration_text
from verification.verdict import Verdict

if TYPE_CHECKING:
    from verification.judge.sequential_test import Evidence

_FEWER = (0.01, 0.3, 0.7)  # alternatives, as multiples of the limit
_ALPHA = 5e-4
_BURST_S = 120  # tolerated


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
    """How many requests are asked for. Raises ValueError for what makes no sense to ask."""

    limit: float  # a second; fewer are bad
    block_s: float
    blocks: int  # most blocks that the watch may have, its extension included
    dispersion: float = 1.0  # of the baseline

    def __post_init__(self) -> None:
        if not (isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"expected a rate above 0 as the limit, not {self.limit}")
        if not (isfinite(self.block_s) and self.block_s > 0):
            raise ValueError(f"expected a finite duration above 0, not {self.block_s}")
        if self.blocks < 1 or not (isfinite(self.dispersion) and self.dispersion >= 1):
            raise ValueError(f"expected a block and a dispersion of 1 at least: {self.blocks}, {self.dispersion}")

    @property
    def burst_blocks(self) -> int:
        """How many blocks a tolerated burst may touch."""
        return ceil(_BURST_S / self.block_s - 1e-9)


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

        return cls(rule, (), None, Evidence.start(rule.burst_blocks, rule.blocks, len(_FEWER)))

    def after(self, block: CountBlock | None) -> RateJudge:
        """The judge after one more block; None: it is missing. Raises ValueError beyond `rule.blocks`."""
        from verification.judge.sequential_test import count_ratios

        rule = self.rule
        if len(self.blocks) == rule.blocks:
            raise ValueError(f"the watch was to have {rule.blocks} blocks at most")
        if block is None:
            evidence = self._evidence.after_gap()
        else:
            ratios = count_ratios(block.count, rule.limit * block.seconds, _FEWER, rule.dispersion)
            evidence = self._evidence.after(ratios, observed=True)
        after = RateJudge(rule, (*self.blocks, block), self.decided, evidence)
        if self.decided is not None or not evidence.reaches(_ALPHA):
            return after
        sure = f"with {plain_percent(1 - _ALPHA)} confidence{aside(_BURST_S)}"
        return replace(after, decided=after._found("certain", f"fewer than the limit {sure}", Verdict.FAIL))

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
        count, seconds = _sums(self.blocks)
        if count / seconds < rule.limit:
            return self._found("limit", "not within the limit, and not surely beyond it")
        if self._bounds(max(1, rule.burst_blocks), END_ALPHA)[1] < rule.limit:
            return self._found("late burst", "within the limit as a whole, but beyond it lately")
        least, _ = self._bounds(len(self.blocks), CONFIDENT_ALPHA)
        how = "thin evidence" if least < rule.limit else "confident"
        return self._found(how, how, Verdict.PASS)

    def _bounds(self, last: int, alpha: float) -> tuple[float, float]:
        """The exact bounds of the rate over the `last` blocks, each at `alpha`; no bounds where none was observed."""
        from verification.judge.sequential_test import count_bounds

        count, seconds = _sums(self.blocks[-last:])
        if not seconds:
            return 0.0, float("inf")
        low, high = count_bounds(count, alpha, self.rule.dispersion)
        return low / seconds, high / seconds

    def _found(self, rule: str, words: str, verdict: Verdict | None = None, *, observed: bool = True) -> Judgement:
        """A judgement; its words follow the numbers: `120 requests in 5m (24 a minute, at least 30 expected; ...)`."""
        count, seconds = _sums(self.blocks)
        limit = f"at least {60 * self.rule.limit:.3g} a minute expected"
        rate = f"{60 * count / seconds:.3g} a minute, {limit}" if seconds else limit
        about = f"{count:,} requests in {duration_text(round(seconds))} ({rate})"
        return Judgement(verdict, f"{about}: {words}" if words else about, observed=observed, rule=rule)


def _sums(blocks: Sequence[CountBlock | None]) -> tuple[int, float]:
    known = [block for block in blocks if block is not None]
    return sum(int(block.count) for block in known), sum(block.seconds for block in known)
