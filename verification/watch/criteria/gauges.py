"""Numbers that are read again and again: latencies of what the service depends on, and how many instances there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import isfinite
from statistics import median

from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict, now
from verification.watch.criteria.standing import Standing
from verification.watch.samples import Sample

INSTANCES = "instances"
DEPENDENCY = "dependency/"
PING = "ping/mongodb"
_SHOWN = 30
_FEW = 3
_MOST_MISSING = 0.2


class _Gauge:
    """Numbers of some streams, in the order of their time; what is no number (NaN, absent, negative) is missing."""

    def __init__(self, criterion: str, title: str, unit: str, streams: tuple[str, ...], source: str) -> None:
        self.criterion = criterion
        self._title, self._unit, self._streams, self._source = title, unit, streams, source
        self._points: list[tuple[datetime, float | None]] = []
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        if sample.stream not in self._streams:
            return
        value = sample.value
        good = not sample.missing and value is not None and isfinite(value) and value >= 0
        self._why = self._why if good else sample.text or f"the answer was {value}"
        self._points.append((sample.at, value if good else None))

    @property
    def _values(self) -> list[float]:
        return [value for _, value in self._points if value is not None]

    @property
    def _unseen(self) -> str:
        """Why too little was seen, or nothing."""
        seen, every = len(self._values), len(self._points)
        if seen >= _FEW and every - seen <= _MOST_MISSING * every:
            return ""
        return f"{self._title} was seen {seen} times in {every}{': ' if self._why else ''}{self._why}"

    def _measured(self, value: float | None, limit: float | None, note: str) -> Measurement:
        return Measurement(
            self._title,
            value,
            self._unit,
            source=self._source,
            observed_at=self._points[-1][0] if self._points else now(),
            samples=len(self._values),
            note=note,
            series=Series(self.criterion, self._title, self._unit, tuple(self._points), limit),
        )

    def _line(self, limit: str, *, good: bool) -> WatchRow:
        last = self._values[-1:] if self._values else []
        state = RowState.GOOD if good else RowState.BAD
        return WatchRow(
            self.criterion,
            f"{last[0]:g} {self._unit}".rstrip() if last else "not seen yet",
            limit,
            state if last and self._points[-1][1] is not None else RowState.UNKNOWN,
            tuple(value for _, value in self._points[-_SHOWN:]),
        )


class MedianLatency(_Gauge):
    """A latency (ms) whose median must be below `limit`: a single slow answer is no slow dependency."""

    def __init__(self, criterion: str, name: str, streams: tuple[str, ...], limit: float, source: str) -> None:
        super().__init__(criterion, f"{name} latency", "ms", streams, source)
        self._limit = limit

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge. Only the whole tells: it is never certain before the end."""
        if not at_end:
            return Standing(None)
        if self._unseen:
            return Standing(None, self._unseen, observed=False)
        typical = median(self._values)
        if typical < self._limit:
            return Standing(Verdict.PASS)
        return Standing(Verdict.FAIL, f"{self._title} is {typical:g} ms (median), the limit {self._limit:g} ms")

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        values = self._values
        note = f"the median; at most {max(values):g} ms" if values else ""
        return self._measured(round(median(values), 1) if values else None, self._limit, note)

    def series(self) -> Series:
        """See SampleJudge."""
        return Series(self.criterion, self._title, self._unit, tuple(self._points), self._limit)

    def row(self) -> WatchRow:
        """See SampleJudge."""
        return self._line(f"< {self._limit:g} ms", good=not self._values or median(self._values) < self._limit)


class InstanceCount(_Gauge):
    """How many instances run; it must be within `least` and `most` most of the time. None: nobody knows the range."""

    def __init__(self, criterion: str, expected: tuple[float, float] | None, streams: tuple[str, ...]) -> None:
        super().__init__(criterion, "instances", "", streams, "Cloud Monitoring")
        self._expected = expected

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        if not at_end:
            return Standing(None)
        if self._expected is None:
            return Standing(None, "no baseline and no monitor.instances say how many there should be", observed=False)
        if self._unseen:
            return Standing(None, self._unseen, observed=False)
        outside = self._outside
        if outside == 0:
            return Standing(Verdict.PASS)
        words = f"{outside} of {len(self._values)} times outside of {self._range}"
        if outside * 2 > len(self._values):
            return Standing(Verdict.FAIL, f"{words}: {min(self._values):g} to {max(self._values):g} instances")
        return Standing(Verdict.PASS, f"{words}, while a deployment's instances come and go")

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        values = self._values
        top = self._expected[1] if self._expected else None
        return replace(self._measured(values[-1] if values else None, top, ""), limit=self._range)

    def series(self) -> Series:
        """See SampleJudge."""
        limit = self._expected[1] if self._expected else None
        return Series(self.criterion, self._title, "", tuple(self._points), limit)

    def row(self) -> WatchRow:
        """See SampleJudge."""
        return self._line(self._range, good=self._outside * 2 <= len(self._values))

    @property
    def _outside(self) -> int:
        least, most = self._expected or (0, float("inf"))
        return sum(not least <= value <= most for value in self._values)

    @property
    def _range(self) -> str:
        return f"{self._expected[0]:g} to {self._expected[1]:g}" if self._expected else ""
