"""Numbers that are read again and again: latencies of what the service depends on, and how many instances there are."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from statistics import median

from verification.judge.judgement import UNDECIDED, Judgement
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample

INSTANCES = "instances"
DEPENDENCY = "dependency/"
PING = "ping/"
_FEWEST = 3
_HALF = 0.5  # of all answers are slower than their median
_ALPHA = 2.5e-3
_MOST_MISSING = 0.2


class _Gauge:
    """Numbers of some streams, in the order of their time; what is no number (NaN, absent, negative) is missing."""

    def __init__(self, history: History, streams: tuple[str, ...], source: str) -> None:
        self.criterion = history.criterion
        self._history, self._streams, self._source = history, streams, source
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """Note the number."""
        if sample.stream not in self._streams:
            return
        value = sample.value
        good = not sample.missing and value is not None and isfinite(value) and value >= 0
        self._why = self._why if good else sample.text or f"the answer was {value}"
        self._history.add(sample.at, value if good else None)

    @property
    def _unseen(self) -> str:
        """Why too little was seen, or nothing; empty where enough was."""
        seen, every = len(self._history.values), len(self._history.points)
        if seen >= _FEWEST and every - seen <= _MOST_MISSING * every:
            return ""
        return f"{self._history.title} was seen {seen} times in {every}{': ' if self._why else ''}{self._why}"

    def _row(self, limit: str, *, good: bool) -> WatchRow:
        last = self._history.values[-1:]
        value = f"{last[0]:g} {self._history.unit}".rstrip() if last else ""
        return self._history.row(value, limit, good=good, known=not self._history.is_blind)


class MedianLatency(_Gauge):
    """The latency (ms) of `name`, whose median must be below `limit`: a single slow answer is no slow dependency."""

    def __init__(self, name: str, limit: float, source: str) -> None:
        streams = (f"{DEPENDENCY}{name}", f"{PING}{name}")
        super().__init__(History(f"{name}_latency", f"{name} latency", "ms", limit), streams, source)
        self._limit = limit

    def judge(self, *, at_end: bool) -> Judgement:
        """At the end: a pass where the median is below the limit, a fail where that of all answers is surely not."""
        if not at_end:
            return UNDECIDED
        if self._unseen:
            return Judgement(reason=self._unseen, observed=False)
        from verification.judge.sequential_test import lower_bound

        values = self._history.values
        typical, slow = median(values), sum(value >= self._limit for value in values)
        if typical < self._limit:
            return Judgement(Verdict.PASS)
        reason = f"{self._history.title} is {typical:g} ms (median), the limit {self._limit:g} ms"
        if float(lower_bound(slow, len(values), _ALPHA)) > _HALF:
            return Judgement(Verdict.FAIL, reason)
        return Judgement(reason=f"{reason}, and {slow} of {len(values)} answers that were slower do not prove it")

    def measurement(self) -> Measurement:
        """The median, in ms."""
        values = self._history.values
        note = f"the median; at most {max(values):g} ms" if values else ""
        typical = round(median(values), 1) if values else None
        return self._history.measured(typical, self._source, samples=len(values), note=note)

    def row(self) -> WatchRow:
        """The latest latency; good while the median is below the limit."""
        values = self._history.values
        return self._row(f"< {self._limit:g} ms", good=not values or median(values) < self._limit)


class InstanceCount(_Gauge):
    """How many instances run; it must be within `expected` most of the time. None: nobody knows the range."""

    def __init__(self, criterion: str, expected: tuple[float, float] | None, streams: tuple[str, ...]) -> None:
        most = expected[1] if expected else None
        super().__init__(History(criterion, "instances", limit=most), streams, "Cloud Monitoring")
        self._expected = expected

    def judge(self, *, at_end: bool) -> Judgement:
        """At the end: a fail where it was outside of the range more often than not."""
        if not at_end:
            return UNDECIDED
        if self._expected is None:
            return Judgement(reason="no baseline and no monitor.instances say how many there should be", observed=False)
        if self._unseen:
            return Judgement(reason=self._unseen, observed=False)
        outside, values = self._outside, self._history.values
        if outside == 0:
            return Judgement(Verdict.PASS)
        words = f"{outside} of {len(values)} times outside of {self._range}"
        if outside * 2 > len(values):
            return Judgement(Verdict.FAIL, f"{words}: {min(values):g} to {max(values):g} instances")
        return Judgement(Verdict.PASS, f"{words}, while a deployment's instances come and go")

    def measurement(self) -> Measurement:
        """The latest count, with the range as its limit."""
        values = self._history.values
        latest = values[-1] if values else None
        return replace(self._history.measured(latest, self._source, samples=len(values)), limit=self._range)

    def row(self) -> WatchRow:
        """The latest count; good while most are within the range."""
        return self._row(self._range, good=self._outside * 2 <= len(self._history.values))

    @property
    def _outside(self) -> int:
        least, most = self._expected or (0, float("inf"))
        return sum(not least <= value <= most for value in self._history.values)

    @property
    def _range(self) -> str:
        return f"{self._expected[0]:g} to {self._expected[1]:g}" if self._expected else ""
