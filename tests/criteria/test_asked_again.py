"""What failed is asked again until it is certain: how often, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Event, Lock

import pytest

from verification.criteria.confirmation import Confirmed, ask_until_certain
from verification.criteria.repetition import Answered, Repetition
from verification.deadline import Deadline
from verification.errors import CredentialsRefused, ServiceError
from verification.judge.confirmation import Answers

LIMIT = 0.01
ONE_BAD = Answers(1, 1, LIMIT)
GOOD, UNKNOWN = Repetition(Answered.GOOD), Repetition(Answered.UNKNOWN)
BAD = Repetition(Answered.BAD, ServiceError("status is 500"))


def script(pattern: str) -> Callable[[float], Repetition]:
    """Answers as in `pattern`: + good, - bad, ? unknown; its last one for ever after."""
    kinds = {"+": GOOD, "-": BAD, "?": UNKNOWN}
    answers: Iterator[Repetition] = chain((kinds[sign] for sign in pattern), repeat(kinds[pattern[-1]]))
    lock = Lock()

    def ask(_: float) -> Repetition:
        with lock:
            return next(answers)

    return ask


def confirmed(pattern: str, most: int = 30) -> Confirmed:
    return ask_until_certain(script(pattern), ONE_BAD, most, Deadline.after(30))


def test_what_is_dead_is_certain_after_three_of_three() -> None:
    found = confirmed("-")
    assert found.certain
    assert (found.answers.bad, found.answers.total) == (3, 3)


def test_one_unlucky_answer_proves_nothing() -> None:
    found = confirmed("+")
    assert found.cleared
    assert not found.certain
    assert (found.answers.bad, found.answers.total) == (1, 30)


def test_mixed_answers_are_neither_a_failure_nor_cleared() -> None:
    found = confirmed("+-+")
    assert (found.certain, found.cleared) == (False, False)
    assert (found.answers.bad, found.answers.total) == (2, 30)
    assert "2 of 30 failed, at most" in found.text


def test_one_in_two_is_certain_before_thirty_are_in() -> None:
    found = confirmed("+-+-+-+-+-+-+-+-+-")
    assert found.certain
    assert found.answers.total < 30


@pytest.mark.parametrize(
    ("pattern", "certain", "cleared"), [("-", True, False), ("+", False, False), ("-+", False, False)]
)
def test_a_question_that_may_be_asked_three_times_is_asked_no_more(pattern: str, certain: bool, cleared: bool) -> None:
    found = confirmed(pattern, most=3)
    assert (found.certain, found.cleared) == (certain, cleared)
    assert found.answers.total == 3


def test_a_few_good_answers_clear_nobody() -> None:
    assert not confirmed("+", most=9).cleared
    assert confirmed("+", most=10).cleared


def test_one_that_may_be_asked_once_is_taken_at_its_word() -> None:
    assert confirmed("+", most=1).certain
    assert not confirmed("+", most=1).cleared


def test_all_of_few_is_certain_only_where_all_were_answered() -> None:
    assert confirmed("-", most=2).certain
    assert not confirmed("?", most=2).certain, "one bad answer, and one that says nothing"


@pytest.mark.parametrize("pattern", ["?", "+?"])
def test_what_gives_nothing_to_judge_by_clears_nobody(pattern: str) -> None:
    found = confirmed(pattern)
    assert (found.certain, found.cleared) == (False, False)
    assert found.unknown >= 27


def test_refused_credentials_are_not_tried_again() -> None:
    asked: list[float] = []

    def ask(within: float) -> Repetition:
        asked.append(within)
        return Repetition(Answered.BAD, CredentialsRefused("401"))

    found = ask_until_certain(ask, Answers(1, 1, LIMIT), 30, Deadline.after(30))
    assert found.certain
    assert len(asked) <= 2, "the two that were asked side by side"


def test_answers_that_do_not_come_are_not_waited_for() -> None:
    never = Event()
    try:
        found = ask_until_certain(lambda _: GOOD if never.wait(20) else BAD, ONE_BAD, 30, Deadline.after(0.2))
    finally:
        never.set()
    assert (found.certain, found.cleared, found.answers.total) == (False, False, 1)


def compared(pattern: str, failed_with: Answers, most: int = 30) -> Confirmed:
    """As the revision from before is asked, or the service once the traffic has moved."""
    return ask_until_certain(script(pattern), Answers(0, 0, LIMIT), most, Deadline.after(30), failed_with)


DEAD, SOME = Answers(3, 3, LIMIT), Answers(4, 9, LIMIT)


@pytest.mark.parametrize(
    ("pattern", "failed_with", "better", "as_badly", "asked"),
    [
        ("+", DEAD, True, False, 3),
        ("-", DEAD, False, True, 3),
        ("+-+", SOME, True, False, None),  # 1 of 12
        ("+", SOME, True, False, None),  # not after three: of answers of which 4 in 9 are bad, three are often good
        ("-+" * 15, SOME, False, True, None),
        ("?", DEAD, False, False, 30),
    ],
)
def test_another_revision_is_compared_with_how_the_release_failed(
    pattern: str, failed_with: Answers, better: bool, as_badly: bool, asked: int | None
) -> None:
    found = compared(pattern, failed_with)
    assert (found.does_better, found.does_as_badly) == (better, as_badly)
    assert asked in {None, found.answers.total + found.unknown}


def test_three_good_answers_are_not_better_than_some_bad_ones() -> None:
    assert compared("+", SOME).answers.total > 3


def test_where_no_more_may_be_asked_all_good_is_better_and_some_bad_are_not() -> None:
    assert compared("+", DEAD, most=1).does_better
    found = compared("-+", DEAD, most=2)
    assert (found.does_better, found.does_as_badly) == (False, True)


@pytest.mark.parametrize(("bad", "total", "is_well"), [(0, 3, True), (1, 10, True), (9, 9, False), (12, 30, False)])
def test_who_does_better_is_not_well_where_it_certainly_fails_too(bad: int, total: int, is_well: bool) -> None:
    """12 of 30 are better than 30 of 30: a release that fails two users in five is at fault, whoever stands in front."""
    failed_with = Answers(30, 30, LIMIT)
    assert Confirmed(Answers(bad, total, LIMIT), asked_enough=True, failed_with=failed_with).is_well is is_well


def test_who_refuses_our_credentials_does_as_badly() -> None:
    refused = Repetition(Answered.BAD, CredentialsRefused("401"))
    found = ask_until_certain(lambda _: refused, Answers(0, 0, LIMIT), 30, Deadline.after(30), DEAD)
    assert (found.does_better, found.does_as_badly) == (False, True)
