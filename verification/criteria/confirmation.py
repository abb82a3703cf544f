"""Asks a criterion again that has failed, side by side, until it is certain: one unlucky answer proves nothing.

Three outcomes: certain, and the failure stands; mixed, and the criterion is inconclusive; or the one bad answer was the
only one, and the criterion passes. That first one is why we look, and so proves less than those that come after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import pytest

from verification.criteria.asking_ahead import AskedAhead
from verification.criteria.criterion import asked_by, criterion_id, phase_of
from verification.criteria.repetition import Answered, Question, Repetition, repeat
from verification.criteria.results import blames_service
from verification.deadline import Deadline
from verification.errors import (
    AnsweredForTheOrigin,
    CredentialsRefused,
    NoInstance,
    NotRevisionRelated,
    Unconfirmed,
    VerificationError,
)
from verification.judge.confirmation import Answers
from verification.probe import PROBES, may_be_asked_again
from verification.run.run import Run
from verification.settings.model import Settings
from verification.verdict import Measurement, record

CONFIRMED_PHASES = frozenset({"deploy", "smoke"})  # in the watch, its own judge decides
MOST_ANSWERS = 30
_MOST_ASKED = 60  # with the control, and once the traffic has moved
_AT_FIRST = 3  # the first one included: of three that are bad, what is dead is certain
_FEWEST_TO_CLEAR = 10  # of fewer, good ones after a bad one prove nothing either
_SIDE_BY_SIDE = 9


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What asking again came to. `asked_enough`: as often as was to be asked; `unknown`: answers that say nothing."""

    answers: Answers
    asked_enough: bool
    unknown: int = 0
    why_unknown: str = ""
    refused: bool = False
    good: Repetition | None = None  # the last one that was
    bad: Repetition | None = None  # and the last one that was not
    failed_with: Answers | None = None  # those of who had failed, where somebody else is asked, or once more

    @property
    def certain(self) -> bool:
        """Whether the failure is proven; where no more may be asked, all answers being bad has to do."""
        every_one_is_bad = self.asked_enough and 0 < self.answers.bad == self.answers.total
        return self.refused or self.answers.certain or (every_one_is_bad and not self.unknown)

    @property
    def cleared(self) -> bool:
        """Whether the first bad answer was the only one, of enough."""
        enough = self.asked_enough and self.answers.total >= _FEWEST_TO_CLEAR
        return enough and self.answers.bad == 1 and not self.unknown

    @property
    def does_better(self) -> bool:
        """Whether the answers are better than those of the failure; all good will do where no more may be asked."""
        answers = self.answers
        good = answers.bad == 0 < answers.total and (self.failed_with is None or self.asked_enough)
        better = self.failed_with is not None and answers.is_better_than(self.failed_with)
        return (good or better) and not self.refused

    @property
    def is_well(self) -> bool:
        """Whether the answers are better than those of the failure, and not certainly bad all the same."""
        return self.does_better and not self.certain

    @property
    def does_as_badly(self) -> bool:
        """Whether they fail as well: certainly, or some of enough answers, and not fewer of them than by chance."""
        compared = self.failed_with is not None and self.asked_enough and self.answers.bad > 0 and not self.unknown
        return (self.certain or compared) and not self.does_better

    @property
    def text(self) -> str:
        """`2 of 30 failed, at most 19.5 %`, and what gave nothing to judge by."""
        unknown = f"; {self.unknown} more gave nothing to judge by: {self.why_unknown}" if self.unknown else ""
        return f"{self.answers.text}{unknown}"


class FailedCriteria:
    """The criteria that have failed, to be asked again of another revision, or once the traffic has moved."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._questions: dict[str, Question] = {}
        self._failed_with: dict[str, Answers] = {}
        self._asked = Counter[str]()  # how often each question has been put

    def add(self, question: Question) -> None:
        """Remember the question of one."""
        self._questions[criterion_id(question.item)] = question

    def confirmed(self, criterion: str, confirmed: Confirmed) -> None:
        """Note what asking it again has come to."""
        if not confirmed.refused:  # that is certain by itself, whatever was counted
            self._failed_with[criterion] = confirmed.answers
        self._count(criterion, confirmed)

    def ask(self, criterion: str, address: str, within: float) -> Confirmed | None:
        """What the criterion says of who answers at `address` (empty: the service's own), compared with its failure.

        All of its questions are put, and those that they need. `within` is in seconds. None where it never
        failed, or asks nothing of the service.
        """
        question = self._questions.get(criterion)
        if question is None:
            return self._ask_of_the_watch(criterion, address)
        if address and not question.asks_the_service:
            return None
        settings, deadline = self._run.settings, Deadline.after(within)
        none_yet, before = Answers(0, 0, settings.limits.error_rate), self._failed_with.get(criterion)
        kept = _AT_FIRST if address else 0  # for when the traffic has moved
        most = min(MOST_ANSWERS, allowed(question.item, settings) - self._asked[criterion] - kept)
        if most < 1 or question.fails_where_asked_once:
            why = "it is asked once in a run" if most > 0 else "it may not be asked more often in a run"
            return Confirmed(none_yet, asked_enough=False, unknown=1, why_unknown=why, failed_with=before)
        with closing(self._run.new_client(address)) as client:
            ask = partial(repeat, question, client, whole_chain=True)
            confirmed = ask_until_certain(ask, none_yet, most, deadline, before)
        self._count(criterion, confirmed)
        return confirmed

    def _count(self, criterion: str, confirmed: Confirmed) -> None:
        self._asked[criterion] += confirmed.answers.total + confirmed.unknown

    def _ask_of_the_watch(self, criterion: str, address: str) -> Confirmed | None:
        watcher = self._run.watcher
        if watcher is None:
            return None
        with closing(self._run.new_client(address)) as client:
            answers = watcher.ask_again(criterion, client)
        return Confirmed(answers, asked_enough=True) if answers is not None else None


class Confirmation:
    """The hook that asks again; `on_doubt` is called at once when a criterion has failed for the first time."""

    def __init__(self, run: Run, failed: FailedCriteria, on_doubt: Callable[[], None]) -> None:
        self._run = run
        self._failed = failed
        self._on_doubt = on_doubt
        self._ahead = AskedAhead(run)
        self._called = set[pytest.Item]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Let a failure of a phase after the deployment stand only where it is certain. Raises Unconfirmed."""
        self._called.add(item)
        try:
            return (yield)
        except BaseException as error:
            if not _is_confirmable(item, error):
                raise
            if _is_fixable(item):
                self._failed.add(Question.of(item))
                self._on_doubt()
            self._confirm(item, error)
            return None

    def pytest_unconfigure(self) -> None:
        """End the connections of what was asked ahead."""
        self._ahead.close()

    def _confirm(self, item: pytest.Item, error: BaseException) -> None:
        settings = self._run.settings
        refused = isinstance(error, CredentialsRefused)
        self._ahead.ask_what_fails(
            other for other in item.session.items if other not in self._called and _may_fail(other)
        )
        with closing(self._run.new_client()) as service:
            confirmed = ask_again(item, service, settings, self._ahead, refused=refused)
        answers = confirmed.answers
        self._failed.confirmed(criterion_id(item), confirmed)
        name, asked_again = f"{criterion_id(item)}, bad answers", f"asked again: {confirmed.text}"
        record(Measurement(name, answers.bad, samples=answers.total, source=settings.target.url, note=asked_again))
        if confirmed.certain:
            error.add_note(asked_again)
            raise self._explained(item, error) or error
        if not confirmed.cleared:
            if self._run.watcher is not None:
                self._run.watcher.carry_over(criterion_id(item), answers)
            if self._run.probes.is_over:
                asked_again += "; a failure that calls for a rollback was certain already"
            raise Unconfirmed(f"{_words(error)}; {asked_again}", "Ask again, or watch on: `-m monitor`.") from error
        if confirmed.good is not None and confirmed.good.probes is not None:
            # What needed this answer can be asked now.
            self._run.probes.adopt(confirmed.good.probes, asked_by(item))

    def _explained(self, item: pytest.Item, error: BaseException) -> VerificationError | None:
        """What a certain failure comes to by who saw more of it than we; None where it stands."""
        if isinstance(error, NoInstance):
            return self._run.refuted_by_log(error)
        if isinstance(error, AnsweredForTheOrigin) and self._run.origin:
            return self._refuted_by_origin(criterion_id(item), error)
        return None

    def _refuted_by_origin(self, criterion: str, error: AnsweredForTheOrigin) -> NotRevisionRelated | None:
        """What `error` comes to where the service answers well at its own address; None where it does not, either."""
        origin = self._run.origin
        found = self._failed.ask(criterion, origin, self._run.settings.smoke.confirm_within)
        if found is None or not found.is_well:
            return None
        name, note = f"{criterion}, bad answers at the service's own address", f"asked there: {found.text}"
        record(Measurement(name, found.answers.bad, samples=found.answers.total, source=origin, note=note))
        return NotRevisionRelated(
            f"{error.cause}; at {origin} the release answers well: {found.text}",
            "Look at who stands in front of the service: going back to another revision would not mend it.",
        )


def ask_again(
    item: pytest.Item, service: object, settings: Settings, ahead: AskedAhead, *, refused: bool = False
) -> Confirmed:
    """Ask `service` what `item` asks, which was answered badly once, until that is certain or enough answers are in.

    What was asked `ahead` counts first.
    `refused`: the bad answer was that our credentials are not taken, which is not asked again.
    """
    answers = Answers(1, 1, settings.limits.error_rate)
    if refused:
        return Confirmed(answers, asked_enough=True, refused=True)
    deadline = item.config.stash[PROBES].limited(settings.smoke.confirm_within)
    # Some are kept for the control, and for when the traffic has moved.
    most = min(MOST_ANSWERS, max(_AT_FIRST, allowed(item, settings) - 2 * _AT_FIRST))
    question = Question.of(item)
    return ask_until_certain(
        lambda within: repeat(question, service, within, ahead=ahead.take(item)), answers, most, deadline
    )


def allowed(item: pytest.Item, settings: Settings) -> int:
    """How often the criterion's question may be put in one run: the least of what its flows and its marker allow."""
    needed = (str(name) for marker in item.iter_markers("needs") for name in marker.args)
    by_flow = (settings.asked_at_most(name) for name in needed)
    by_marker = (int(marker.args[0]) for marker in item.iter_markers("asked_at_most"))
    return min((_MOST_ASKED, *(most for most in by_flow if most), *by_marker))


def ask_until_certain(
    ask: Callable[[float], Repetition],
    answers: Answers,
    most: int,
    deadline: Deadline,
    failed_with: Answers | None = None,
) -> Confirmed:
    """Call `ask` until `answers` are certain, it was `most` times in all, or the deadline is over; side by side.

    Where they are compared with those of a failure, `failed_with`, good ones are certain as well, once they are better.
    """
    unknown, why_unknown, refused, good, bad = 0, "", False, None, None
    with_threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="asked again")
    try:
        while not (_is_settled(answers, failed_with) or refused or deadline.is_over) and answers.total + unknown < most:
            asked = answers.total + unknown
            count = min(_AT_FIRST - asked if asked < _AT_FIRST else _SIDE_BY_SIDE, most - asked)
            open_ = {with_threads.submit(ask, deadline.remaining) for _ in range(count)}
            while open_ and not answers.certain and not deadline.is_over:
                done, open_ = wait(open_, deadline.remaining, FIRST_COMPLETED)
                for repetition in map(Future.result, done):
                    if repetition.answered is Answered.UNKNOWN:
                        unknown, why_unknown = unknown + 1, repetition.text
                    else:
                        answers = answers.after(good=repetition.answered is Answered.GOOD)
                    refused = refused or repetition.refused
                    good = repetition if repetition.answered is Answered.GOOD else good
                    bad = repetition if repetition.answered is Answered.BAD else bad
    finally:
        with_threads.shutdown(wait=False, cancel_futures=True)
    asked_enough = answers.total + unknown >= most
    return Confirmed(answers, asked_enough, unknown, why_unknown, refused, good, bad, failed_with)


def _is_settled(answers: Answers, failed_with: Answers | None) -> bool:
    """Whether more would tell nothing new: too many are bad, or they are better than those of the failure."""
    if answers.certain or answers.total < _AT_FIRST:
        return answers.certain
    return not answers.bad if failed_with is None else answers.is_better_than(failed_with)


def _is_confirmable(item: pytest.Item, error: BaseException) -> bool:
    if phase_of(item) not in CONFIRMED_PHASES or isinstance(error, NotRevisionRelated) or not blames_service(error):
        return False
    return _is_fixable(item) or any(map(may_be_asked_again, asked_by(item)))


def _may_fail(item: pytest.Item) -> bool:
    """Whether it is one of those that are asked again."""
    return phase_of(item) in CONFIRMED_PHASES and _is_fixable(item)


def _is_fixable(item: pytest.Item) -> bool:
    """Whether another revision might do better."""
    return item.get_closest_marker("unmendable") is None


def _words(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
