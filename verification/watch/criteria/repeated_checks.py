"""Questions that are put to the service again and again: its health, and the flows of its users."""

from __future__ import annotations

from dataclasses import replace

from verification.judge.judgement import UNDECIDED, Judgement
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample

HEALTH = "health"
FLOWS = "flow/"
_FEWEST = 3  # answers; fewer say nothing about a watch
_MOST_MISSING = 0.2
_IN_A_ROW = 2  # bad answers


class RepeatedCheck:
    """Answers to one question: 1 for a good one, 0 for a bad one.

    Two bad ones in a row, over at least `lasting` seconds, are proof. A bad answer between good ones is what a healthy
    service has now and then: `tolerated` is their share. The chart shows bad answers, each as 100 %.
    """

    def __init__(self, criterion: str, title: str, streams: str, *, lasting: float, tolerated: float) -> None:
        self.criterion = criterion
        self._title, self._streams = title, streams
        self._lasting, self._tolerated = lasting, tolerated
        self._history = History(criterion, "bad answers", "%")
        self._bad_run: dict[str, list[Sample]] = {}  # by stream: the bad answers since the last good one
        self._good = self._bad = self._missing = 0
        self._proof = ""
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """Note the answer. A missing one is neither the end of a row of bad answers nor a part of it."""
        if not sample.stream.startswith(self._streams):
            return
        observed = not sample.missing and sample.value is not None
        self._history.add(sample.at, 100 * (1 - (sample.value or 0)) if observed else None)
        if sample.missing:
            self._missing += 1
            self._why = sample.text
            return
        run = self._bad_run.setdefault(sample.stream, [])
        if sample.value:
            self._good += 1
            run.clear()
            return
        self._bad += 1
        run.append(sample)
        lasted = (sample.at - run[0].at).total_seconds()
        if not self._proof and len(run) >= _IN_A_ROW and lasted >= self._lasting:
            self._proof = f"{sample.text} ({len(run)} times in a row, since {run[0].at:%H:%M:%S} UTC)"

    def judge(self, *, at_end: bool) -> Judgement:
        """A fail that rolls back once bad answers lasted; at the end a pass where bad ones are rare, and the last not.

        Undecided and not observed: too few answers, or too many that are missing.
        """
        if self._proof:
            return Judgement(Verdict.FAIL, self._proof, roll_back=True)
        if not at_end:
            return UNDECIDED
        answers, asked = self._good + self._bad, self._good + self._bad + self._missing
        if answers < _FEWEST or self._missing > _MOST_MISSING * asked:
            why = f": {self._why}" if self._why else ""
            return Judgement(reason=f"{self._missing} of {asked} questions had no answer{why}", observed=False)
        if any(self._bad_run.values()):
            last = next(run[-1] for run in self._bad_run.values() if run)
            return Judgement(reason=f"the last answer was bad: {last.text}")
        if self._bad and self._bad / answers >= self._tolerated:
            return Judgement(reason=f"{self._bad} of {answers} answers were bad, never lasting")
        return Judgement(Verdict.PASS, "each time the next one was good" if self._bad else "")

    def measurement(self) -> Measurement:
        """1 where a lasting failure was proven, 0 where none was; no value without an answer."""
        answers = self._good + self._bad
        proven = int(bool(self._proof)) if answers else None
        note = f"{self._bad} of {answers} answers were bad"
        measured = self._history.measured(proven, "the suite's own questions", samples=answers, note=note)
        return replace(measured, name=self._title, unit="")

    def row(self) -> WatchRow:
        """How many answers were good."""
        answers, bad = self._good + self._bad, bool(self._proof) or any(self._bad_run.values())
        return self._history.row(
            f"{self._good} of {answers} good", "none bad for long", good=not bad, known=bad or answers > 0
        )
