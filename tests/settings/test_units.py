"""Durations and rates, as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.settings.units import duration_text, seconds, share

NUMBERS = st.decimals(min_value=0, max_value=9999, places=3, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 0.5), ("30s", 30), ("15m", 900), ("24h", 86_400), ("1d", 86_400), ("1h 30m", 5400), (" 1.5 s ", 1.5)],
)
def test_a_duration_is_read_in_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@given(NUMBERS, st.sampled_from(["ms", "s", "m"]))
def test_a_duration_that_is_shown_can_be_read_back(number: object, unit: str) -> None:
    value = seconds(f"{number}{unit}")
    assert seconds(duration_text(value)) == pytest.approx(value, abs=1e-9)


@given(st.floats(min_value=0.001, max_value=3e8))
def test_any_duration_is_shown_so_that_it_can_be_read_back(value: float) -> None:
    assert seconds(duration_text(value)) == pytest.approx(value, rel=1e-6)


@given(
    st.text()
    | st.from_regex(r"[0-9.\-+e ]+ ?(ms|s|m|h|d|%)?", fullmatch=True)
    | st.integers()
    | st.floats()
    | st.none()
)
def test_what_is_no_duration_or_rate_is_refused_and_nothing_else_comes_of_it(text: object) -> None:
    for read, most in ((seconds, 3660 * 86_400), (share, 1)):
        refused = ""
        value = math.nan
        try:
            value = read(text)
        except ValueError as error:
            refused = str(error)
        assert refused.startswith("expected a ") or (isinstance(text, str) and 0 <= value <= most)


@pytest.mark.parametrize(
    "text",
    [
        "15",
        15,
        1.5,
        True,
        None,
        "",
        "m",
        "-1s",
        "+1s",
        "1e3s",
        ".5s",
        "5.s",
        "nans",
        "infs",
        "1 week",
        "٣s",
        "1s;",
        "1s\x00",
        "9" * 400 + "d",
        "99999999999d",
        "4000d",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_a_duration_without_its_unit_or_beyond_all_measure_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        seconds(text)


@pytest.mark.parametrize(
    "text", ["1", 1, 0.01, True, None, "", "%", "-1%", "101%", "100.1%", "nan%", "1 %%", "٣%"], ids=ascii
)
def test_a_rate_without_its_sign_or_above_all_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        share(text)


@given(st.decimals(min_value=0, max_value=100, places=2))
def test_a_rate_is_read_as_a_share_of_one(percent: object) -> None:
    assert share(f"{percent}%") == pytest.approx(float(str(percent)) / 100)


@pytest.mark.parametrize(
    ("value", "text"),
    [(900, "15m"), (0.5, "500ms"), (86_400, "1d"), (90, "90s"), (1.5, "1.5s"), (0, "0ms"), (1_234_567, "1234567s")],
)
def test_a_duration_is_shown_in_its_largest_whole_unit(value: float, text: str) -> None:
    assert duration_text(value) == text
