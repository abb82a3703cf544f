"""Values held against limits: what is bad fails, what is missing never passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.errors import ObserverError, ServiceError
from verification.verdict import Measurement, Value, collecting, show

NAN, INF = math.nan, math.inf
HUGE = 10**400

Sentence = Callable[[Measurement], None]


def of(value: Value | None) -> Measurement:
    return Measurement("latency", value, unit="ms", source="GET /health", note="asked twice")


def holds(value: Value | None, sentence: Sentence) -> bool:
    try:
        sentence(of(value))
    except ServiceError:
        return False
    return True


RULES: dict[str, tuple[Sentence, list[Value], list[Value | None]]] = {
    "be a number": (lambda one: one.must_be(200), [200, 200.0], [500, "200", True, NAN, INF, -200, ""]),
    "be one": (lambda one: one.must_be(1), [1, 1.0], [True, "1", 0]),
    "be true": (lambda one: one.must_be(True), [True], [1, 1.0, "True", False]),
    "be a text": (lambda one: one.must_be("ok"), ["ok"], ["OK", " ok", "", 0, True]),
    "be nothing much": (lambda one: one.must_be(""), [""], [0, False, " "]),
    "be the word None": (lambda one: one.must_be("None"), ["None"], ["none"]),
    "be not a number": (lambda one: one.must_be(NAN), [], [NAN, 0, "nan"]),
    "be one of": (lambda one: one.must_be_one_of(200, 206), [200, 206], [404, "200", True]),
    "be one of zero and one": (lambda one: one.must_be_one_of(0, 1), [0, 1], [True, False, "0", ""]),
    "be one of none": (lambda one: one.must_be_one_of(), [], [200, "", False]),
    "start with": (
        lambda one: one.must_start_with_one_of("video/", "N"),
        ["video/mp4", "No"],
        ["image/png", "", 7, True],
    ),
    "start with a digit": (lambda one: one.must_start_with_one_of("2"), ["2", "200"], [200, 2.0]),
    "start with anything": (lambda one: one.must_start_with_one_of(""), ["", "a"], [0, False]),
    "be below": (
        lambda one: one.must_be_below(100),
        [99.9, 0, -1, -HUGE],
        [100, 100.0, 101, NAN, INF, -INF, HUGE, "5", True, False],
    ),
    "be below no number": (lambda one: one.must_be_below(NAN), [], [0, NAN]),
    "be more than": (lambda one: one.must_be_more_than(14), [14.1, 15, HUGE], [14, 13, NAN, INF, -INF, "20", True]),
    "be between": (lambda one: one.must_be_between(1, 10), [1, 10, 5.5], [0, 11, NAN, INF, "5", True, -HUGE, HUGE]),
    "be at least": (lambda one: one.must_be_between(1, INF), [1, 10**9, HUGE], [0, NAN, INF, "5", True]),
}


@pytest.mark.parametrize(("sentence", "good", "bad"), RULES.values(), ids=RULES)
def test_a_sentence_holds_for_what_is_good_and_for_nothing_else(
    sentence: Sentence, good: list[Value], bad: list[Value | None]
) -> None:
    assert [value for value in good if not holds(value, sentence)] == []
    assert [value for value in bad if holds(value, sentence)] == []


@pytest.mark.parametrize("sentence", [rule[0] for rule in RULES.values()], ids=RULES)
def test_a_missing_measurement_never_passes(sentence: Sentence) -> None:
    with pytest.raises(ServiceError, match="latency is missing"):
        sentence(of(None))


@pytest.mark.parametrize("error", [ServiceError("the field is missing"), ObserverError("Sentry is down")])
@pytest.mark.parametrize("sentence", [rule[0] for rule in RULES.values()], ids=RULES)
def test_what_kept_a_measurement_from_being_made_is_raised_whatever_value_stands_there(
    sentence: Sentence, error: ServiceError | ObserverError
) -> None:
    for value in (None, 200, 50, 5, "ok", "video/mp4", ""):
        with pytest.raises(type(error)) as caught:
            sentence(Measurement("latency", value, problem=error))
        assert caught.value is error


@given(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text()),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
)
def test_no_value_is_below_and_above_at_once_or_breaks_a_sentence(value: Value, least: float, most: float) -> None:
    below = holds(value, lambda one: one.must_be_below(least))
    above = holds(value, lambda one: one.must_be_more_than(least))
    between = holds(value, lambda one: one.must_be_between(least, most))
    assert not (below and above)
    assert not (below and between)
    holds(value, lambda one: one.must_be(value))


def test_a_failure_says_what_was_seen_what_was_expected_and_where() -> None:
    with pytest.raises(ServiceError) as caught:
        of(812.5).must_be_below(500)
    assert str(caught.value) == "latency is 812.5 ms, expected less than 500 ms (GET /health); asked twice"


@pytest.mark.parametrize(("value", "expected"), [(True, "True"), ("200", 200), (1, "1")])
def test_a_value_that_looks_right_but_is_of_another_kind_says_so(value: Value, expected: Value) -> None:
    with pytest.raises(ServiceError, match=f"a {type(expected).__name__} and no {type(value).__name__}"):
        Measurement("status", value).must_be(expected)


def test_measurements_are_collected_with_their_limits_whether_they_hold_or_not() -> None:
    with collecting() as measurements:
        of(5).must_be_below(10)
        with pytest.raises(ServiceError):
            of(5).must_be_more_than(10)
        with pytest.raises(ObserverError):
            Measurement("errors", None, problem=ObserverError("down")).must_be(0)
    of(5).must_be(5)
    assert [(one.value, one.rule, one.limit) for one in measurements] == [(5, "<", 10), (5, ">", 10), (None, "=", 0)]


def test_what_is_collected_inside_does_not_end_up_outside() -> None:
    with collecting() as outer:
        with collecting() as inner:
            of(1).must_be(1)
        of(2).must_be(2)
    assert [one.value for one in inner] == [1]
    assert [one.value for one in outer] == [2]


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), st.text(max_size=5))
def test_any_value_can_be_shown_and_is_not_long(value: Value | None, unit: str) -> None:
    assert len(show(value, unit)) <= 207
