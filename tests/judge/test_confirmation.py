"""The confirmation of a question that failed: its error at any number of looks, and what it takes to be certain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy.stats import fisher_exact

from verification.judge.confirmation import ALPHA, Answers

LIMITS = (0.001, 0.005, 0.01, 0.05, 0.2, 0.5)
MOST = 30
limits = some.floats(0.0005, 0.9)


def first_certain(limit: float, most: int, share: float) -> float:
    """The probability, summed over all paths, that answers that are bad with `share` are certain within `most`."""
    undecided, certain = {0: 1.0}, 0.0
    for total in range(1, most + 1):
        after: dict[int, float] = {}
        for bad, weight in undecided.items():
            for worse, chance in ((0, 1 - share), (1, share)):
                after[bad + worse] = after.get(bad + worse, 0.0) + weight * chance
        certain += sum(weight for bad, weight in after.items() if Answers(bad, total, limit).certain)
        undecided = {bad: weight for bad, weight in after.items() if not Answers(bad, total, limit).certain}
    return certain


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("part", [0.1, 0.5, 1.0])
def test_a_service_within_the_limit_is_hardly_ever_found_beyond_it(limit: float, part: float) -> None:
    assert first_certain(limit, MOST, part * limit) <= ALPHA


def test_neither_at_many_more_looks() -> None:
    assert first_certain(0.01, 600, 0.01) <= ALPHA


def test_a_service_that_is_bad_is_found_within_thirty_answers() -> None:
    assert first_certain(0.01, 3, 1.0) == 1
    assert first_certain(0.01, MOST, 0.5) > 0.999
    assert first_certain(0.01, MOST, 0.3) > 0.92


@pytest.mark.parametrize(("bad", "most"), [(1, 0), (2, 0), (3, 5), (4, 13), (5, 24), (6, 39)])
def test_so_many_bad_ones_are_certain_at_one_percent_among_so_many_at_most(bad: int, most: int) -> None:
    assert [total for total in range(bad, 62) if Answers(bad, total, 0.01).certain] == [*range(bad, most + 1)]


@given(some.integers(0, 60), some.integers(0, 60), limits)
def test_a_bad_answer_more_is_more_evidence_than_a_good_one(bad: int, good: int, limit: float) -> None:
    answers = Answers(bad, bad + good, limit)
    worse, better = answers.after(good=False), answers.after(good=True)
    assert better.log_evidence < answers.log_evidence + 1e-9
    assert worse.log_evidence > answers.log_evidence - 1e-9
    assert better.certain <= answers.certain <= worse.certain
    assert better.upper_bound <= answers.upper_bound <= worse.upper_bound


@given(some.integers(0, 40), some.integers(0, 40), limits)
def test_the_evidence_is_the_average_over_all_greater_shares(bad: int, good: int, limit: float) -> None:
    from scipy import integrate

    def ratio(share: float) -> float:
        return math.exp(bad * math.log(share / limit) + good * (math.log1p(-share) - math.log1p(-limit)))

    peak = min(max(bad / max(1, bad + good), limit + 1e-6), 1 - 1e-6)
    whole, _ = integrate.quad(ratio, limit, 1 - 1e-12, points=[peak], limit=400, epsrel=1e-9)
    assert math.exp(Answers(bad, bad + good, limit).log_evidence) == pytest.approx(whole / (1 - limit), rel=1e-5)


@given(some.integers(0, 60), some.integers(0, 60), limits)
def test_the_bounds_are_exact(bad: int, good: int, limit: float) -> None:
    from scipy import stats

    answers = Answers(bad, bad + good, limit)
    highest = stats.beta.ppf(0.95, bad + 1, good) if good else 1.0
    lowest = stats.beta.ppf(0.05, bad, good + 1) if bad else 0.0
    assert answers.upper_bound == pytest.approx(highest)
    assert answers.lower_bound == pytest.approx(lowest)


def test_thousands_of_answers_are_counted_too() -> None:
    assert not Answers(50, 5000, 0.01).certain
    assert Answers(100, 5000, 0.01).certain
    assert Answers(0, 100_000, 0.5).log_evidence == -math.inf


@pytest.mark.parametrize(
    ("bad", "total", "text"),
    [
        (2, 30, "2 of 30 failed, at most 19.5 %"),
        (0, 30, "0 of 30 failed, at most 9.50 %"),
        (3, 3, "3 of 3 failed, at least 36.8 %"),
        (1, 1, "1 of 1 failed, at most 100.0 %"),
    ],
)
def test_it_is_said_in_words(bad: int, total: int, text: str) -> None:
    assert Answers(bad, total, 0.01).text == text


@pytest.mark.parametrize(("bad", "total", "limit"), [(2, 1, 0.01), (-1, 1, 0.01), (1, 1, 0.0), (1, 1, 1.0)])
def test_what_cannot_be_is_refused(bad: int, total: int, limit: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Answers(bad, total, limit)


@given(*(some.integers(0, 40) for _ in range(4)))
def test_better_answers_are_so_by_fishers_exact_test(bad: int, good: int, other_bad: int, other_good: int) -> None:
    these, others = Answers(bad, bad + good, 0.01), Answers(other_bad, other_bad + other_good, 0.01)
    p = float(fisher_exact(np.array([[bad, good], [other_bad, other_good]]), alternative="less").pvalue)
    assume(abs(p - 0.05) > 1e-6)
    assert these.is_better_than(others) is (bool(these.total) and p < 0.05)


@pytest.mark.parametrize(
    ("these", "others", "better"),
    [
        ((0, 3), (3, 3), True),
        ((0, 2), (3, 3), False),
        ((1, 3), (3, 3), False),
        ((1, 9), (3, 3), True),
        ((0, 3), (4, 9), False),
        ((0, 12), (4, 9), True),
        ((0, 0), (3, 3), False),
    ],
)
def test_how_many_answers_tell_better_from_bad(these: tuple[int, int], others: tuple[int, int], better: bool) -> None:
    assert Answers(*these, 0.01).is_better_than(Answers(*others, 0.01)) is better
