"""The judge of a question of our own that is put again and again: answers in, a verdict out. Pure: no I/O, no clock.

Its answers are judged by bounds, as users' requests are: one bad answer of 62 is 1.6 %, and proves nothing against 1 %.

1. Bad answers in a row, for as long as `lasting_s`, fail as soon as so many are certain: three of three at a limit of
   1 % where all were bad from the beginning, four where it worked before.
2. Bad answers among good ones fail once they are certain, the worst `lasting_s` in a row aside.
3. At the end, a share that is most likely beyond the limit is ambiguous, again without those. So is a row of bad
   answers that is certain and has not lasted; one that is not certain may be ill luck: what comes next was not seen.
4. Everything else passes, with its bound.

Evidence counts blocks of `block_s`, however often the question is put in one: asking again, because an answer was bad,
makes a short outage no longer than it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, isfinite
from typing import TYPE_CHECKING, TypeAlias

from verification.judge.confirmation import ALPHA, Answers
from verification.judge.judgement import Judgement, aside, percent, plain_percent
from verification.settings.units import duration_text
from verification.verdict import Verdict

if TYPE_CHECKING:
    from verification.judge.sequential_test import Evidence

_Evidence: TypeAlias = "tuple[Evidence, Evidence]"  # that of all blocks, and that without a burst of them
DOUBT_ALPHA = 0.01  # of a share beyond the limit at the end: that doubt costs an extension, and seldom comes twice
_DEAD = 0.98  # the greatest of the shares that the limit is held against; the others are even steps to it
_STEPS = 5


@dataclass(frozen=True, slots=True)
class QuestionRule:
    """What is asked of the answers. Raises ValueError for what makes no sense to ask."""

    limit: float  # the share that may be bad
    block_s: float  # how often the question is put, as a rule
    blocks: int  # how often at most
    lasting_s: float = 0  # bad answers for a shorter time prove nothing

    def __post_init__(self) -> None:
        if not 0 < self.limit < _DEAD:
            raise ValueError(f"expected a limit between 0 and {_DEAD}, not {self.limit}")
        times = (self.block_s, self.lasting_s)
        if not all(isfinite(seconds) and seconds >= 0 for seconds in times) or not self.block_s or self.blocks < 1:
            raise ValueError(f"expected finite durations and a block at least: {times}, {self.blocks}")

    @property
    def burst_blocks(self) -> int:
        """How many blocks bad answers may touch that do not last."""
        return ceil(self.lasting_s / self.block_s - 1e-9)

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares that the limit is held against, from hardly worse to dead."""
        return tuple(self.limit * (_DEAD / self.limit) ** (step / _STEPS) for step in range(1, _STEPS + 1))


@dataclass(frozen=True, slots=True)
class _Row:
    """Bad answers in a row: how many, and from when to when."""

    answers: int = 0
    since_s: float = 0.0
    until_s: float = 0.0

    def after(self, at_s: float, *, good: bool) -> _Row:
        if good:
            return _Row()
        return _Row(self.answers + 1, self.since_s if self.answers else at_s, at_s)

    @property
    def seconds(self) -> float:
        return self.until_s - self.since_s


@dataclass(frozen=True)
class QuestionJudge:
    """The answers to one question as judged so far; immutable."""

    rule: QuestionRule
    answers: Answers
    row: _Row = field(default_factory=_Row)  # of bad answers, up to the last one
    decided: Judgement | None = None  # what became certain, as it was then
    _blocks: tuple[tuple[int, int], ...] = ()  # (bad, total) of each; the last one is open
    _closed: _Evidence | None = field(default=None, repr=False, compare=False)  # of the blocks but the last one

    @classmethod
    def start(cls, rule: QuestionRule) -> QuestionJudge:
        """Nothing was answered yet."""
        return cls(rule, Answers(0, 0, rule.limit))

    def after(self, at_s: float, *, good: bool) -> QuestionJudge:
        """The judge after one more answer, `at_s` seconds after the first one was due."""
        rule, blocks, closed = self.rule, self._blocks, self._closed
        for _ in range(int(at_s / rule.block_s + 1e-9) + 1 - len(blocks)):
            closed = _evidence(rule, closed, blocks[-1]) if blocks else None
            blocks = (*blocks, (0, 0))
        bad, total = blocks[-1]
        blocks = (*blocks[:-1], (bad + (not good), total + 1))
        answers, row = self.answers.after(good=good), self.row.after(at_s, good=good)
        after = QuestionJudge(rule, answers, row, self.decided, blocks, closed)
        return after if good or after.decided else replace(after, decided=after._certain())

    @property
    def so_far(self) -> Judgement:
        """So far: a fail once it is certain, undecided until then."""
        return self.decided or Judgement(reason=self._words, observed=self.answers.total > 0)

    def at_end(self) -> Judgement:
        """The verdict when the watch is over; what is undecided, an extension may still settle."""
        if self.decided or not self.answers.total:
            return self.so_far
        rule, words = self.rule, self._words
        least = self._least_outside_burst
        if least > rule.limit:
            sure = f"at least {percent(least)} with {plain_percent(1 - DOUBT_ALPHA)} confidence"
            return Judgement(None, f"{self._count}, {sure}{aside(rule.lasting_s)}", rule="exact bound")
        if self.row.answers and self._reached[0]:
            return Judgement(None, f"bad at last, and not for long yet: {words}", rule="late burst")
        if self.row.answers:
            return Judgement(None, f"what comes after the last answer was not seen: {words}", observed=False)
        return Judgement(Verdict.PASS, words, rule="not proven bad")

    def _certain(self) -> Judgement | None:
        """What the latest answer, a bad one, made certain."""
        rule, row = self.rule, self.row
        if row.seconds >= rule.lasting_s and self._reached[0]:
            words = f"{row.answers} bad answers in a row, over {duration_text(round(row.seconds, 1))}"
        elif self._reached[1]:
            sure = f"more than {plain_percent(rule.limit)} with {plain_percent(1 - ALPHA)} confidence"
            words = f"{self._count}, {sure}{aside(rule.lasting_s)}"
        else:
            return None
        return Judgement(Verdict.FAIL, words, roll_back=True, rule="certain")

    @cached_property
    def _reached(self) -> tuple[bool, bool]:
        """Whether it is certain, and whether it still is without a burst."""
        plain, outside = _evidence(self.rule, self._closed, self._blocks[-1])
        return plain.reaches(ALPHA), outside.reaches(ALPHA)

    @property
    def _least_outside_burst(self) -> float:
        from verification.judge.sequential_test import lower_bound_outside_burst

        bad, total = zip(*self._blocks, strict=True)
        return float(lower_bound_outside_burst(bad, total, self.rule.burst_blocks, DOUBT_ALPHA))

    @property
    def _count(self) -> str:
        return f"{self.answers.bad} of {self.answers.total} failed"

    @property
    def _words(self) -> str:
        """`1 of 62 failed, at most 7.4 %`; nothing about a bound where nothing failed."""
        most = f", at most {percent(self.answers.upper_bound)}" if self.answers.bad else ""
        return f"{self._count}{most}"


def _evidence(rule: QuestionRule, before: _Evidence | None, block: tuple[int, int]) -> _Evidence:
    from verification.judge.sequential_test import Evidence, ratios_against

    bursts = (0, rule.burst_blocks)
    plain, outside = before or (Evidence.start(burst, rule.blocks, _STEPS) for burst in bursts)
    ratios = ratios_against(rule.shares, *block, rule.limit)
    seen = block[1] > 0
    return plain.after(ratios, seen), outside.after(ratios, seen)
