"""How a criterion is judged while it is watched: what every judge of samples can do, and how its values are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from verification.deadline import now
from verification.judge.judgement import Judgement
from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Value, Verdict
from verification.watch.samples import Sample

_T = TypeVar("_T")
_SHOWN = 30  # values in a row of the live view


class SampleJudge(Protocol):
    """Judges one criterion by the samples of a watch, in the order of their time. It never looks at a clock."""

    @property
    def criterion(self) -> str:
        """The criterion's id."""
        ...

    def add_sample(self, sample: Sample) -> None:
        """Count the sample in; one of a stream that the criterion is not about changes nothing."""
        ...

    def judge(self, *, at_end: bool) -> Judgement:
        """The judgement so far; `at_end`: now that no sample follows. What fails before the end is certain."""
        ...

    def measurement(self) -> Measurement:
        """The value so far, with what that rests on."""
        ...

    def row(self) -> WatchRow:
        """The criterion's row in the live view."""
        ...


@dataclass(slots=True)
class History:
    """The values of a criterion over time, oldest first, None where one is missing; in `unit`, as are both limits."""

    criterion: str
    title: str
    unit: str = ""
    limit: float | None = None
    roll_back_at: float | None = None
    points: list[tuple[datetime, float | None]] = field(default_factory=list)

    def add(self, at: datetime, value: float | None) -> None:
        """Append the value at a moment."""
        self.points.append((at, value))

    @property
    def values(self) -> list[float]:
        """Those that are not missing."""
        return [value for _, value in self.points if value is not None]

    @property
    def is_blind(self) -> bool:
        """Whether the latest value is missing, or there is none yet."""
        return not self.points or self.points[-1][1] is None

    def measured(
        self, value: Value | None, source: str, *, samples: int, note: str = "", window_s: float | None = None
    ) -> Measurement:
        """A measurement of it as a whole, with its chart."""
        return Measurement(
            self.title,
            value,
            self.unit,
            source=source,
            observed_at=self.points[-1][0] if self.points else now(),
            samples=samples,
            window_s=window_s,
            note=note,
            series=Series(self.criterion, self.title, self.unit, tuple(self.points), self.limit, self.roll_back_at),
        )

    def row(self, value: str, limit: str, *, good: bool, known: bool = True) -> WatchRow:
        """Its row in the live view; the state is unknown unless it is `known`."""
        state = RowState.UNKNOWN if not known else RowState.GOOD if good else RowState.BAD
        recent = tuple(value for _, value in self.points[-_SHOWN:])
        return WatchRow(self.criterion, value or "not seen yet", limit, state, recent)


class UnjudgeableCriterion:
    """A criterion that nobody can judge here, and why. `judgement` is what was certain before that, if anything."""

    def __init__(self, criterion: str, title: str, why: str, judgement: Judgement | None = None) -> None:
        self.criterion = criterion
        self._title = title
        self._judgement = judgement or Judgement(reason=why, observed=False)

    def add_sample(self, sample: Sample) -> None:
        """Nothing: no sample helps."""

    def judge(self, *, at_end: bool) -> Judgement:  # noqa: ARG002
        """Undecided and not observed, unless it was certain before."""
        return self._judgement

    def measurement(self) -> Measurement:
        """A measurement without a value."""
        return Measurement(self._title, None)

    def row(self) -> WatchRow:
        """A row without a value."""
        return WatchRow(self.criterion, "not known", "", RowState.UNKNOWN)


class GuardedCriterion:
    """A criterion whose own defect ends nobody else's watch: from then on it is one that nobody can judge.

    A failure that was certain before that stays.
    """

    def __init__(self, judge: SampleJudge) -> None:
        self.criterion = judge.criterion
        self._judge = judge
        self._failure: Judgement | None = None

    def add_sample(self, sample: Sample) -> None:
        """Hand the sample on."""
        self._call(lambda judge: judge.add_sample(sample))

    def judge(self, *, at_end: bool) -> Judgement:
        """The criterion's judgement; a failure before the end is kept."""
        judgement = self._call(lambda judge: judge.judge(at_end=at_end))
        if judgement.verdict is Verdict.FAIL and not at_end:
            self._failure = judgement
        return judgement

    def measurement(self) -> Measurement:
        """The criterion's measurement."""
        return self._call(lambda judge: judge.measurement())

    def row(self) -> WatchRow:
        """The criterion's row."""
        return self._call(lambda judge: judge.row())

    def _call(self, method: Callable[[SampleJudge], _T]) -> _T:
        try:
            return method(self._judge)
        except Exception as error:
            why = f"the criterion itself broke: {type(error).__name__}: {error}"
            title = self.criterion.replace("_", " ")
            self._judge = UnjudgeableCriterion(self.criterion, title, why, self._failure)
            return method(self._judge)
