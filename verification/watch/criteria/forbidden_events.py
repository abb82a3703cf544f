"""Events that must not happen: new types of errors, critical ones, lost databases, containers that are killed."""

from __future__ import annotations

from dataclasses import replace

from verification.judge.judgement import UNDECIDED, Judgement
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample

NEW_ERRORS, CRITICAL_ERRORS = "sentry/new", "sentry/critical"
DATABASE_ERRORS, RESTARTS = "logs/database", "logs/restarts"
_LISTED = 5


class ForbiddenEvents:
    """Events by their key, each with how often it was seen (`value`); `enough` times prove it, fewer are ambiguous.

    Lines of a log are told one by one, and count together; types of errors do not. A sample without a key says that
    the source looked and found nothing more.
    """

    def __init__(self, criterion: str, title: str, stream: str, source: str, *, enough: int, at_once: bool) -> None:
        self.criterion = criterion
        self._stream, self._source = stream, source
        self._enough, self._at_once = enough, at_once
        self._seen: dict[str, Sample] = {}
        self._history = History(criterion, title)
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """Note the event, or that the source looked."""
        if sample.stream != self._stream:
            return
        if sample.key:
            self._seen[sample.key] = sample
            return
        self._why = sample.text if sample.missing else ""
        self._history.add(sample.at, None if sample.missing else float(len(self._seen)))

    def judge(self, *, at_end: bool) -> Judgement:
        """A fail as soon as events were seen often enough; at the end a pass, if the source could look at last."""
        if self._times >= self._enough:
            reason = f"{len(self._seen)} {self._history.title}: {self._listed}"
            return Judgement(Verdict.FAIL, reason, roll_back=self._at_once)
        if not at_end:
            return UNDECIDED
        # What happened while nobody could look is found afterwards, as long as the last look succeeded.
        if self._history.is_blind:
            why = self._why or "nobody looked"
            return Judgement(reason=f"{self._source} could not be asked at last: {why}", observed=False)
        if self._seen:
            return Judgement(reason=f"seen once only: {self._listed}", observed=False)
        return Judgement(Verdict.PASS)

    def measurement(self) -> Measurement:
        """How many different events were seen; no value where the source never looked, no chart without an event."""
        looks = len(self._history.values)
        count = len(self._seen) if looks else None
        measured = self._history.measured(count, self._source, samples=looks, note=self._listed)
        return measured if self._seen else replace(measured, series=None)

    def row(self) -> WatchRow:
        """How many were seen."""
        known = not self._history.is_blind
        count = str(len(self._seen)) if known else ""
        return self._history.row(count, "none", good=not self._seen, known=known or bool(self._seen))

    @property
    def _times(self) -> float:
        """How often the event was seen that was seen most."""
        times = [event.value or 1 for event in self._seen.values()]
        together = self._stream.startswith("logs/") and all(count == 1 for count in times)
        return len(times) if together else max(times, default=0)

    @property
    def _listed(self) -> str:
        texts = [event.text for event in self._seen.values()]
        return "; ".join(texts[:_LISTED]) + ("; and more" if len(texts) > _LISTED else "")
