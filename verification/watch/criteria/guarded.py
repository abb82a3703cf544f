"""Criteria that nobody can answer: for want of what they rest on, or for a defect of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.standing import SampleJudge, Standing
from verification.watch.samples import Sample

_T = TypeVar("_T")


class UnjudgeableCriterion:
    """A criterion that nobody can answer here, and why. `standing` is what it came to before that, if to anything."""

    def __init__(self, criterion: str, title: str, why: str, standing: Standing | None = None) -> None:
        self.criterion = criterion
        self._title = title
        self._standing = standing or Standing(None, why, observed=False)

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""

    def judge(self, *, at_end: bool) -> Standing:  # noqa: ARG002
        """See SampleJudge."""
        return self._standing

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        return Measurement(self._title, None)

    def series(self) -> Series:
        """See SampleJudge."""
        return Series(self.criterion, self._title, "", ())

    def row(self) -> WatchRow:
        """See SampleJudge."""
        return WatchRow(self.criterion, "not known", "", RowState.UNKNOWN)


class GuardedCriterion:
    """A criterion whose own defect ends nobody else's watch: from then on it is one that nobody can answer.

    A failure that was certain before that stays.
    """

    def __init__(self, watched: SampleJudge) -> None:
        self.criterion = watched.criterion
        self._watched = watched
        self._failure: Standing | None = None

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        self._ask(lambda one: one.add_sample(sample))

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        found = self._ask(lambda one: one.judge(at_end=at_end))
        if found.verdict is Verdict.FAIL and not at_end:
            self._failure = found
        return found

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        return self._ask(lambda one: one.measurement())

    def series(self) -> Series:
        """See SampleJudge."""
        return self._ask(lambda one: one.series())

    def row(self) -> WatchRow:
        """See SampleJudge."""
        return self._ask(lambda one: one.row())

    def _ask(self, question: Callable[[SampleJudge], _T]) -> _T:
        try:
            return question(self._watched)
        except Exception as error:
            why = f"the criterion itself broke: {type(error).__name__}: {error}"
            title = self.criterion.replace("_", " ")
            self._watched = UnjudgeableCriterion(self.criterion, title, why, self._failure)
            return question(self._watched)
