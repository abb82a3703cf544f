"""Polling ends with a true answer, with the deadline, or when its pause is broken off."""

from __future__ import annotations

import pytest

from verification.deadline import Deadline, bounded, poll

LONG, OVER = 600.0, -1.0


def polled(answers: list[int], within: float, broken_off_after: int = 99) -> tuple[int, list[float]]:
    """What `poll` answers to these answers, and its pauses."""
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) >= broken_off_after

    remaining = iter(answers)
    return poll(lambda: next(remaining), Deadline.after(within), 1.0, longest=2.0, pause=pause), pauses


@pytest.mark.parametrize(
    ("answers", "within", "broken_off_after", "answer", "pauses"),
    [
        ([7], LONG, 99, 7, []),
        ([0, 0, 0, 0, 7], LONG, 99, 7, [1.0, 1.5, 2.0, 2.0]),
        ([0], OVER, 99, 0, []),
        ([7], OVER, 99, 7, []),
        ([0], 0.5, 99, 0, []),
        ([0, 0], LONG, 1, 0, [1.0]),
    ],
    ids=["at once", "later", "over", "over and true", "no room for a pause", "broken off"],
)
def test_polling_ends(
    answers: list[int], within: float, broken_off_after: int, answer: int, pauses: list[float]
) -> None:
    assert polled(answers, within, broken_off_after) == (answer, pauses)


def test_a_deadline_has_no_negative_rest_and_the_earlier_one_is_the_lesser() -> None:
    over, later = Deadline.after(OVER), Deadline.after(LONG)
    assert (over.remaining, over.is_over, over.leaves(0)) == (0.0, True, False)
    assert (later.is_over, later.leaves(1), later.leaves(2 * LONG)) == (False, True, False)
    assert min(later, over) is over


def test_a_bounded_call_hands_on_what_comes_of_it() -> None:
    def broken() -> int:
        raise KeyError("it")

    assert bounded(lambda: 7, LONG) == 7
    with pytest.raises(KeyError):
        bounded(broken, LONG)
