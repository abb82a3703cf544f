"""How far our clock is from the service's, as the header of an answer tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from verification.clients.service.answer import Answer

NOW = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)


def answered(date: str | None, **more: str) -> timedelta:
    headers = {**({} if date is None else {"date": date}), **more}
    return Answer("GET /health", 200, headers, observed_at=NOW).clock_skew


@pytest.mark.parametrize("seconds", [-3600, -60, -6, 6, 600, 86_000])
def test_a_clock_that_is_wrong_is_put_right(seconds: float) -> None:
    there = NOW + timedelta(seconds=seconds)
    assert answered(format_datetime(there, usegmt=True)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [-5, -1, 0, 1, 5])
def test_what_a_header_of_whole_seconds_cannot_tell_is_left(seconds: float) -> None:
    assert answered(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)) == timedelta()


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "0",
        "Tue, 03 Mar 2026",
        "Tue, 33 Mar 2026 15:00:00 GMT",
        "Tue, 03 Mar 99999 15:00:00 GMT",
        "Tue, 03 Mar 2026 15:00:00 +999999",
        "Tue, 03 Mar 2026 99999999999999999999:00:00 GMT",
        "Tue, 03 Mar 2026 15:00:00 GMT" * 50,
        "Tue, 01 Jan 0001 00:00:00 +1400",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "\x00",
    ],
)
def test_what_is_no_time_of_today_changes_nothing(date: str | None) -> None:
    assert answered(date) == timedelta()


def test_a_time_without_a_zone_is_utc() -> None:
    assert answered("Tue, 03 Mar 2026 15:10:00 -0000") == timedelta(minutes=10)


def test_an_answer_out_of_a_cache_does_not_tell() -> None:
    date = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    assert answered(date, age="3600") == timedelta()
    assert answered(date, age="0") == timedelta(hours=-1)
