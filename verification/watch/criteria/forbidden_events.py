"""Things that must not happen: new types of errors, critical ones, lost databases, containers that are killed."""

from __future__ import annotations

from datetime import datetime

from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict, now
from verification.watch.criteria.standing import Standing
from verification.watch.samples import Sample

NEW_ERRORS, CRITICAL_ERRORS, SENTRY_RATE = "sentry/new", "sentry/critical", "sentry/rate"
DATABASE_ERRORS, RESTARTS = "logs/database", "logs/restarts"
_SHOWN = 30
_LISTED = 5


class ForbiddenEvents:
    """Things by their key, each with how often it was seen (`value`); `enough` times prove it, fewer are ambiguous.

    A sample without a key says that the source looked and found nothing more.
    """

    def __init__(self, criterion: str, title: str, stream: str, source: str, *, enough: int, at_once: bool) -> None:
        self.criterion = criterion
        self._title, self._stream, self._source = title, stream, source
        self._enough, self._at_once = enough, at_once
        self._seen: dict[str, Sample] = {}
        self._points: list[tuple[datetime, float | None]] = []
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        if sample.stream != self._stream:
            return
        if sample.key:
            self._seen[sample.key] = sample
            return
        self._why = sample.text if sample.missing else ""
        self._points.append((sample.at, None if sample.missing else float(len(self._seen))))

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        if self._times >= self._enough:
            return Standing(Verdict.FAIL, f"{len(self._seen)} {self._title}: {self._listed}", roll_back=self._at_once)
        if not at_end:
            return Standing(None)
        # What happened while nobody could look is found afterwards, as long as the last look succeeded.
        if not self._points or self._points[-1][1] is None:
            why = self._why or "nobody looked"
            return Standing(None, f"{self._source} could not be asked at last: {why}", observed=False)
        if self._seen:
            return Standing(None, f"seen once only: {self._listed}", observed=False)
        return Standing(Verdict.PASS)

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        looked = [one for one in self._points if one[1] is not None]
        return Measurement(
            self._title,
            len(self._seen) if looked else None,
            source=self._source,
            observed_at=self._points[-1][0] if self._points else now(),
            samples=len(looked),
            note=self._listed,
            series=self.series() if self._seen else None,
        )

    def series(self) -> Series:
        """See SampleJudge."""
        return Series(self.criterion, self._title, "", tuple(self._points))

    def row(self) -> WatchRow:
        """See SampleJudge."""
        unseen = not self._points or self._points[-1][1] is None
        state = RowState.BAD if self._seen else RowState.UNKNOWN if unseen else RowState.GOOD
        recent = tuple(value for _, value in self._points[-_SHOWN:])
        return WatchRow(self.criterion, "not seen yet" if unseen else str(len(self._seen)), "none", state, recent)

    @property
    def _times(self) -> float:
        """How often the one was seen that was seen most; things that are told one by one count together."""
        counted = [one.value or 1 for one in self._seen.values()]
        return max([*counted, len(counted) if all(one == 1 for one in counted) and self._counts_together else 0])

    @property
    def _counts_together(self) -> bool:
        return self._stream.startswith("logs/")

    @property
    def _listed(self) -> str:
        listed = [one.text for one in self._seen.values()]
        return "; ".join(listed[:_LISTED]) + ("; and more" if len(listed) > _LISTED else "")
