"""When production may be deployed, by the clock on the wall of the window's place."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from tests.source_tree.clone import reason
from verification.errors import ServiceError
from verification.probes.window import openings, window_state
from verification.settings.model import DeploymentWindow, Weekday

NEW_YORK = "America/New_York"


def window(
    opens: str = "10:00", closes: str = "16:00", days: tuple[Weekday, ...] = ("Tuesday", "Thursday"), *freeze: str
) -> DeploymentWindow:
    # Without validation: today's settings refuse a window that crosses midnight.
    return DeploymentWindow.model_construct(
        days=list(days),
        opens=dt.time.fromisoformat(opens),
        closes=dt.time.fromisoformat(closes),
        timezone=NEW_YORK,
        freeze=[dt.date.fromisoformat(one) for one in freeze],
    )


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(NEW_YORK))


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def is_open(now: dt.datetime, of: DeploymentWindow) -> bool:
    return window_state(of, now).value == "open"


@pytest.mark.parametrize(
    ("now", "is_in"),
    [
        ("2026-01-20 10:00", True),  # a Tuesday
        ("2026-01-20 09:59:59", False),
        ("2026-01-20 15:59:59", True),
        ("2026-01-20 16:00", False),
        ("2026-01-21 12:00", False),
        ("2026-01-22 12:00", True),
        ("2026-01-24 12:00", False),
    ],
)
def test_the_window_is_open_from_its_first_second_to_before_its_last(now: str, *, is_in: bool) -> None:
    assert is_open(local(now), window()) is is_in


@pytest.mark.parametrize(
    ("now", "is_in"),
    [
        ("2026-01-20 14:59", False),  # winter: UTC-5
        ("2026-01-20 15:00", True),
        ("2026-07-21 13:59", False),  # summer: UTC-4
        ("2026-07-21 14:00", True),
        ("2026-07-21 20:00", False),
    ],
)
def test_the_wall_clock_counts_in_summer_and_in_winter(now: str, *, is_in: bool) -> None:
    assert is_open(utc(now), window()) is is_in


def test_a_closed_window_says_when_it_opens_and_what_to_do() -> None:
    closed = window_state(window(), local("2026-01-22 17:00"))
    with pytest.raises(ServiceError) as failed:
        closed.must_be("open")
    assert "it is Thursday 2026-01-22 17:00 EST" in failed.value.cause
    assert "next opening is Tuesday 2026-01-27 10:00 EST" in failed.value.cause
    assert "--profile hotfix" in failed.value.remedy


def test_the_next_opening_is_named_in_the_time_that_will_then_be() -> None:
    assert "Tuesday 2026-03-10 10:00 EDT" in reason(window_state(window(), local("2026-03-06 12:00")))


def test_an_open_window_says_until_when() -> None:
    assert "until Tuesday 2026-01-20 16:00 EST" in window_state(window(), local("2026-01-20 12:00")).note


def test_a_freeze_date_is_closed_and_the_next_opening_leaves_it_out() -> None:
    frozen = window("10:00", "16:00", ("Tuesday", "Thursday"), "2026-12-22", "2026-12-24")
    words = reason(window_state(frozen, local("2026-12-22 12:00")))
    assert "a freeze date" in words
    assert "Tuesday 2026-12-29 10:00 EST" in words


def test_a_window_that_never_opens_says_so() -> None:
    assert "No opening follows within a year" in reason(window_state(window(days=()), local("2026-01-20 12:00")))


@pytest.mark.parametrize(
    ("now", "is_in"),
    [
        ("2026-01-20 21:59", False),
        ("2026-01-20 22:00", True),  # Tuesday night
        ("2026-01-21 01:59", True),
        ("2026-01-21 02:00", False),
        ("2026-01-20 01:00", False),  # Monday's night is no window's
        ("2026-01-21 22:30", False),
    ],
)
def test_a_window_that_crosses_midnight_belongs_to_the_day_on_which_it_opens(now: str, *, is_in: bool) -> None:
    assert is_open(local(now), window("22:00", "02:00", ("Tuesday",))) is is_in


def test_a_window_that_crosses_into_a_freeze_date_ends_at_midnight() -> None:
    night = window("22:00", "02:00", ("Tuesday",), "2026-01-21")
    assert is_open(local("2026-01-20 23:59"), night)
    assert not is_open(local("2026-01-21 00:00"), night)


def test_a_night_that_opened_on_a_freeze_date_stays_closed() -> None:
    assert not is_open(local("2026-01-21 01:00"), window("22:00", "02:00", ("Tuesday",), "2026-01-20"))


SUNDAY: tuple[Weekday, ...] = ("Sunday",)


@pytest.mark.parametrize(
    ("now", "is_in"),
    [
        ("2026-11-01 04:59", False),  # 00:59 EDT
        ("2026-11-01 05:00", True),  # 01:00 EDT, the first time
        ("2026-11-01 05:59", True),
        ("2026-11-01 06:00", True),  # 01:00 EST, the second time: the window has begun and not ended
        ("2026-11-01 06:59", True),
        ("2026-11-01 07:00", False),  # 02:00 EST
    ],
)
def test_when_clocks_are_set_back_the_hour_that_comes_twice_is_in_the_window_twice(now: str, *, is_in: bool) -> None:
    assert is_open(utc(now), window("01:00", "02:00", SUNDAY)) is is_in


def test_when_clocks_are_set_back_a_window_that_began_in_that_hour_does_not_begin_again() -> None:
    assert not is_open(utc("2026-11-01 05:10"), window("01:30", "03:00", SUNDAY))
    assert is_open(utc("2026-11-01 06:10"), window("01:30", "03:00", SUNDAY))  # the clocks show 01:10 again


def test_when_clocks_are_set_back_a_window_that_ends_in_that_hour_ends_the_first_time() -> None:
    assert is_open(utc("2026-11-01 05:29"), window("00:00", "01:30", SUNDAY))
    assert not is_open(utc("2026-11-01 05:30"), window("00:00", "01:30", SUNDAY))
    assert not is_open(utc("2026-11-01 06:10"), window("00:00", "01:30", SUNDAY))


def test_when_clocks_are_set_forward_a_window_that_lies_in_the_missing_hour_is_still_one_hour() -> None:
    missing = window("02:00", "03:00", SUNDAY)  # 2026-03-08: 02:00 EST is 03:00 EDT
    (opening, *_) = openings(missing, utc("2026-03-08 00:00"))
    length = opening.closes.astimezone(dt.UTC) - opening.opens.astimezone(dt.UTC)
    assert length == dt.timedelta(0)
    assert not is_open(utc("2026-03-08 07:00"), missing)


def test_when_clocks_are_set_forward_a_window_around_the_missing_hour_stays_open() -> None:
    around = window("01:00", "04:00", SUNDAY)
    assert is_open(utc("2026-03-08 06:00"), around)  # 01:00 EST
    assert is_open(utc("2026-03-08 07:00"), around)  # 03:00 EDT
    assert not is_open(utc("2026-03-08 08:00"), around)  # 04:00 EDT
