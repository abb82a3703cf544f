"""Sentry's error rate since the deployment: errors for each transaction."""

from __future__ import annotations

from datetime import datetime

from verification.judge.judgement import UNDECIDED, Judgement, is_count
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample

SENTRY_RATE = "sentry/rate"
_ALPHA = 2.5e-3


class SentryErrorRate:
    """Counts since the deployment: `value` is the errors so far, `key` the transactions so far (see `counted`)."""

    def __init__(self, criterion: str, limit: float, minimum: int) -> None:
        self.criterion = criterion
        self._limit, self._minimum = limit, minimum
        self._history = History(criterion, "error rate", "%", limit * 100)
        self._errors = self._transactions = 0
        self._source = "Sentry"
        self._why = ""

    @staticmethod
    def counted(at: datetime, errors: int, transactions: int, source: str) -> Sample:
        """The sample that carries both counts."""
        return Sample(SENTRY_RATE, at, float(errors), str(transactions), source)

    def add_sample(self, sample: Sample) -> None:
        """Note the counts, which replace the earlier ones."""
        if sample.stream != SENTRY_RATE:
            return
        if sample.missing or sample.value is None or not (is_count(sample.value) and sample.key.isdecimal()):
            self._why = sample.text
            self._history.add(sample.at, None)
            return
        self._why, self._source = "", sample.text or self._source
        self._errors, self._transactions = int(sample.value), int(sample.key)
        self._history.add(sample.at, self._percent)

    def judge(self, *, at_end: bool) -> Judgement:
        """Pass, fail or undecided at the end: the counts are Sentry's and late, so only the whole of them tells."""
        if not at_end:
            return UNDECIDED
        if self._history.is_blind:
            why = self._why or "it has no transactions, so there is no rate"
            return Judgement(reason=f"Sentry's error rate is not known: {why}", observed=False)
        rate = f"{self._errors} errors, {self._transactions} transactions ({self._percent:.2g} %)"
        if self._transactions < self._minimum:
            few = f"thin evidence: fewer than {self._minimum} transactions; {rate}"
            return Judgement(reason=few, observed=False)
        if self._errors < self._limit * self._transactions:
            return Judgement(Verdict.PASS, rate)
        from verification.judge.sequential_test import lower_bound

        bad = min(self._errors, self._transactions)
        if float(lower_bound(bad, self._transactions, _ALPHA)) > self._limit:
            return Judgement(Verdict.FAIL, f"{rate}, the limit {self._limit * 100:g} %")
        return Judgement(reason=f"{rate}, not below the limit of {self._limit * 100:g} %")

    def measurement(self) -> Measurement:
        """The rate in percent; no value without a transaction."""
        note = f"{self._errors} errors; transactions as Sentry extrapolates them from those that were sampled"
        return self._history.measured(self._percent, self._source, samples=self._transactions, note=note)

    def row(self) -> WatchRow:
        """The rate in percent."""
        percent, limit = self._percent, self._limit * 100
        value = "" if percent is None else f"{percent:.2g} %"
        good = percent is None or percent < limit
        return self._history.row(value, f"< {limit:g} %", good=good, known=not self._history.is_blind)

    @property
    def _percent(self) -> float | None:
        return round(self._errors / self._transactions * 100, 3) if self._transactions else None
