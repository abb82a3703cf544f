"""Sentry's error rate since the deployment: errors for each transaction."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict, now
from verification.watch.criteria.forbidden_events import SENTRY_RATE
from verification.watch.criteria.standing import Standing
from verification.watch.samples import Sample

_SHOWN = 30
_ALPHA = 2.5e-3


class SentryErrorRate:
    """Counts since the deployment: `value` is the errors so far, `key` the transactions so far (see `counted`)."""

    def __init__(self, criterion: str, limit: float, minimum: int) -> None:
        self.criterion = criterion
        self._limit, self._minimum = limit, minimum
        self._points: list[tuple[datetime, float | None]] = []
        self._errors = self._transactions = 0
        self._source = "Sentry"
        self._why = ""

    @staticmethod
    def counted(at: datetime, errors: int, transactions: int, source: str) -> Sample:
        """The sample that says so."""
        return Sample(SENTRY_RATE, at, float(errors), str(transactions), source)

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        if sample.stream != SENTRY_RATE:
            return
        value = sample.value
        counted = value is not None and isfinite(value) and value >= 0 and sample.key.isdecimal()
        if sample.missing or value is None or not counted:
            self._why = sample.text
            self._points.append((sample.at, None))
            return
        self._why, self._source = "", sample.text or self._source
        self._errors, self._transactions = int(value), int(sample.key)
        self._points.append((sample.at, self._percent))

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge. The counts are Sentry's and late, so only the whole of them tells."""
        if not at_end:
            return Standing(None)
        if not self._points or self._points[-1][1] is None:
            why = self._why or "it has no transactions, so there is no rate"
            return Standing(None, f"Sentry's error rate is not known: {why}", observed=False)
        rate = f"{self._errors} errors, {self._transactions} transactions ({self._percent:.2g} %)"
        if self._transactions < self._minimum:
            return Standing(None, f"thin evidence: fewer than {self._minimum} transactions; {rate}", observed=False)
        if self._errors < self._limit * self._transactions:
            return Standing(Verdict.PASS, rate)
        from verification.judge.sequential_test import lower_bound

        bad = min(self._errors, self._transactions)
        if float(lower_bound(bad, self._transactions, _ALPHA)) > self._limit:
            return Standing(Verdict.FAIL, f"{rate}, the limit {self._limit * 100:g} %")
        return Standing(None, f"{rate}, not below the limit of {self._limit * 100:g} %")

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        return Measurement(
            "error rate",
            self._percent,
            "%",
            source=self._source,
            observed_at=self._points[-1][0] if self._points else now(),
            samples=self._transactions,
            note=f"{self._errors} errors; transactions as Sentry extrapolates them from those that were sampled",
            series=self.series(),
        )

    def series(self) -> Series:
        """See SampleJudge."""
        return Series(self.criterion, "error rate", "%", tuple(self._points), self._limit * 100)

    def row(self) -> WatchRow:
        """See SampleJudge."""
        percent = self._percent
        good = percent is None or percent < self._limit * 100
        unseen = not self._points or self._points[-1][1] is None
        return WatchRow(
            self.criterion,
            "not seen yet" if percent is None else f"{percent:.2g} %",
            f"< {self._limit * 100:g} %",
            RowState.UNKNOWN if unseen else RowState.GOOD if good else RowState.BAD,
            tuple(value for _, value in self._points[-_SHOWN:]),
        )

    @property
    def _percent(self) -> float | None:
        return round(self._errors / self._transactions * 100, 3) if self._transactions else None
