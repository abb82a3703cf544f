"""Questions that are put to the service again and again: its health, and the flows of its users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from verification.judge.judgement import UNDECIDED, Judgement
from verification.judge.questions import QuestionJudge, QuestionRule
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample

HEALTH = "health"
FLOWS = "flow/"
_FEWEST = 3  # answers; fewer say nothing about a watch
_MOST_MISSING = 0.2


@dataclass(slots=True)
class _Question:
    """One question: its judge, when it was put first, and its last bad answer."""

    judge: QuestionJudge
    since: datetime
    bad: Sample | None = None

    def add_answer(self, sample: Sample) -> None:
        """Have it counted."""
        good = bool(sample.value)
        self.judge = self.judge.after((sample.at - self.since).total_seconds(), good=good)
        if not good and not (self.bad and self.judge.so_far.verdict):  # the one that made it certain stays
            self.bad = sample

    def judgement(self, *, at_end: bool) -> Judgement:
        """The judgement in words: what the last bad answer was, and how many there were."""
        found = self.judge.at_end() if at_end else self.judge.so_far
        return replace(found, reason=f"{self.bad.text} ({found.reason})") if self.bad else replace(found, reason="")


class RepeatedCheck:
    """Answers to questions, a stream for each: 1 for a good one, 0 for a bad one.

    The chart shows bad answers, each as 100 %.
    """

    def __init__(self, criterion: str, title: str, streams: str, rule: QuestionRule) -> None:
        self.criterion = criterion
        self._title, self._streams, self._rule = title, streams, rule
        self._history = History(criterion, "bad answers", "%")
        self._questions: dict[str, _Question] = {}  # by stream
        self._missing = 0
        self._why = ""

    def add_sample(self, sample: Sample) -> None:
        """Note the answer. A missing one is neither the end of a row of bad answers nor a part of it."""
        if not sample.stream.startswith(self._streams):
            return
        if sample.missing or sample.value is None:
            self._history.add(sample.at, None)
            self._missing += 1
            self._why = sample.text
            return
        self._history.add(sample.at, 100 * (1 - sample.value))
        start = _Question(QuestionJudge.start(self._rule), sample.at)
        self._questions.setdefault(sample.stream, start).add_answer(sample)

    def judge(self, *, at_end: bool) -> Judgement:
        """A fail that rolls back once that is certain; at the end what the worst of the questions comes to.

        Undecided and not observed: too few answers, or too many that are missing.
        """
        found = [question.judgement(at_end=at_end) for question in self._questions.values()]
        failed = next((judgement for judgement in found if judgement.verdict is Verdict.FAIL), None)
        if failed or not at_end:
            return failed or UNDECIDED
        asked = self._answers + self._missing
        if self._answers < _FEWEST or self._missing > _MOST_MISSING * asked:
            why = f": {self._why}" if self._why else ""
            return Judgement(reason=f"{self._missing} of {asked} questions had no answer{why}", observed=False)
        undecided = sorted((one for one in found if one.verdict is None), key=lambda one: not one.observed)
        if undecided:
            return undecided[0]
        return Judgement(Verdict.PASS, "; ".join(filter(None, (one.reason for one in found))))

    def measurement(self) -> Measurement:
        """1 where a lasting failure was proven, 0 where none was; no value without an answer."""
        note = f"{self._bad} of {self._answers} answers were bad"
        proven = int(self._proven) if self._answers else None
        measured = self._history.measured(proven, "the suite's own questions", samples=self._answers, note=note)
        return replace(measured, name=self._title, unit="")

    def row(self) -> WatchRow:
        """How many answers were good."""
        bad = self._proven or any(question.judge.row.answers for question in self._questions.values())
        return self._history.row(
            f"{self._answers - self._bad} of {self._answers} good",
            "none bad for long",
            good=not bad,
            known=self._answers > 0,
        )

    @property
    def _proven(self) -> bool:
        return any(question.judge.so_far.verdict for question in self._questions.values())

    @property
    def _answers(self) -> int:
        return sum(question.judge.answers.total for question in self._questions.values())

    @property
    def _bad(self) -> int:
        return sum(question.judge.answers.bad for question in self._questions.values())
