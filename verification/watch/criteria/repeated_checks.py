"""Questions that are put to the service again and again: its health, and the flows of its users."""

from __future__ import annotations

from datetime import datetime

from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict, now
from verification.watch.criteria.standing import Standing
from verification.watch.samples import Sample

HEALTH = "health"
FLOWS = "flow/"
_SHOWN = 30
_FEW = 3  # answers; fewer say nothing about a watch
_MOST_MISSING = 0.2


class RepeatedCheck:
    """Answers to one question: 1 for a good one, 0 for a bad one. `lasting`: bad ones in a row for so long are proof.

    A bad answer between good ones is what a healthy service has now and then: `tolerated` is their share.
    """

    def __init__(
        self,
        criterion: str,
        title: str,
        streams: str,
        *,
        lasting: float,
        in_a_row: int,
        tolerated: float,
    ) -> None:
        self.criterion = criterion
        self._title, self._streams = title, streams
        self._lasting, self._in_a_row, self._tolerated = lasting, in_a_row, tolerated
        self._points: list[tuple[datetime, float | None]] = []
        self._bad: dict[str, list[Sample]] = {}  # by stream: the bad answers since the last good one
        self._counts = {"good": 0, "bad": 0, "missing": 0}
        self._proof = ""
        self._last = ""

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        if not sample.stream.startswith(self._streams):
            return
        self._points.append((sample.at, None if sample.missing else sample.value))
        if sample.missing:  # not observed: neither the end of a row of bad answers nor a part of it
            self._counts["missing"] += 1
            self._last = sample.text
            return
        row = self._bad.setdefault(sample.stream, [])
        if sample.value:
            self._counts["good"] += 1
            row.clear()
            return
        self._counts["bad"] += 1
        row.append(sample)
        lasted = (sample.at - row[0].at).total_seconds()
        if not self._proof and len(row) >= self._in_a_row and lasted >= self._lasting:
            self._proof = f"{sample.text} ({len(row)} times in a row, since {row[0].at:%H:%M:%S} UTC)"

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        if self._proof:
            return Standing(Verdict.FAIL, self._proof, roll_back=True)
        good, bad, missing = self._counts.values()
        if not at_end:
            return Standing(None)
        if good + bad < _FEW or missing > _MOST_MISSING * (good + bad + missing):
            why = f": {self._last}" if self._last else ""
            return Standing(None, f"{missing} of {good + bad + missing} questions had no answer{why}", observed=False)
        if any(self._bad.values()):
            last = next(row[-1] for row in self._bad.values() if row)
            return Standing(None, f"the last answer was bad: {last.text}")
        if bad and bad / (good + bad) >= self._tolerated:
            return Standing(None, f"{bad} of {good + bad} answers were bad, never lasting")
        return Standing(Verdict.PASS, "each time the next one was good" if bad else "")

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        good, bad, _ = self._counts.values()
        return Measurement(
            self._title,
            int(bool(self._proof)) if good + bad else None,
            source="the suite's own questions",
            observed_at=self._points[-1][0] if self._points else now(),
            samples=good + bad,
            note=f"{bad} of {good + bad} answers were bad",
            series=self.series(),
        )

    def series(self) -> Series:
        """See SampleJudge."""
        shown = tuple((at, None if value is None else 100 * (1 - value)) for at, value in self._points)
        return Series(self.criterion, "bad answers", "%", shown)

    def row(self) -> WatchRow:
        """See SampleJudge."""
        good, bad, _ = self._counts.values()
        state = RowState.GOOD if good + bad else RowState.UNKNOWN
        if self._proof or any(self._bad.values()):
            state = RowState.BAD
        recent = tuple(None if value is None else 1 - value for _, value in self._points[-_SHOWN:])
        return WatchRow(self.criterion, f"{good} of {good + bad} good", "none bad for long", state, recent)
