"""What is normal, computed from half an hour of traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from verification.clients.google.cloud_monitoring import Histogram, RevisionTraffic
from verification.errors import ObserverError
from verification.judge.dispersion import INDEPENDENT, Dispersion
from verification.watch import baseline
from verification.watch.baseline import WINDOW, Baseline, baseline_of, store, stored

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def minute(back: int, requests: int, errors: int = 0, revision: str = "a") -> RevisionTraffic:
    """What was served in the minute that ended `back` minutes ago."""
    end = NOW - timedelta(minutes=back)
    latencies = Histogram((100.0, 200.0), (requests, 0, 0))
    return RevisionTraffic(revision, end - timedelta(minutes=1), end, requests, errors, latencies)


def test_minutes_without_a_request_count_as_such() -> None:
    found = baseline_of("s", NOW, [minute(0, 60), minute(29, 30, 3)])
    assert (found.requests, found.errors, len(found.minutes)) == (90, 3, 30)
    assert (found.minutes[-1].requests, found.minutes[0].requests) == (60, 30)
    assert found.rpm == 3.0
    assert found.error_rate == pytest.approx(3 / 90)


def test_what_lies_outside_of_the_window_is_left_out() -> None:
    assert baseline_of("s", NOW, [minute(30, 100), minute(-1, 100)]).requests == 0


def test_revisions_that_served_at_the_same_time_are_added() -> None:
    assert (
        baseline_of("s", NOW, [minute(3, 10, revision="a"), minute(3, 5, 1, revision="b")]).minutes[26].requests == 15
    )


def test_without_a_request_nothing_is_made_up() -> None:
    found = baseline_of("s", NOW, [])
    assert (found.error_rate, found.p95_ms, found.instances, found.dispersion) == (None, None, None, INDEPENDENT)


def test_instances_are_the_fewest_and_the_most() -> None:
    times = [(NOW - timedelta(minutes=one), count) for one, count in ((1, 3), (2, 1), (40, 9))]
    assert baseline_of("s", NOW, [], times).instances == (1, 3)


def test_clustered_errors_are_dispersed_and_even_ones_are_not() -> None:
    even = baseline_of("s", NOW, [minute(back, 100, 2) for back in range(30)])
    clustered = baseline_of("s", NOW, [minute(back, 100, 4 if back < 6 else 0) for back in range(30)])
    assert even.dispersion == INDEPENDENT
    assert clustered.dispersion.likely > 3


class Monitoring:
    """What Cloud Monitoring counted, or that it is down."""

    def __init__(self, *traffic: RevisionTraffic, down: bool = False) -> None:
        self.traffic, self.down = traffic, down
        self.asked: list[timedelta] = []

    def requests(self, since: datetime, until: datetime) -> tuple[RevisionTraffic, ...]:
        if self.down:
            raise ObserverError("Cloud Monitoring is down")
        self.asked.append(until - since)
        return tuple(point for point in self.traffic if since < point.end <= until)


def with_history(monitoring: Monitoring) -> Dispersion:
    half_hour = baseline_of("s", NOW, [minute(back, 1000, 5) for back in range(30)])
    return baseline.with_history(monitoring, half_hour).dispersion  # type: ignore[arg-type]


def spells(revision: str, *, since: int, until: int = 0) -> list[RevisionTraffic]:
    """Half an hour with 1 % errors, an hour without any, and so on."""
    return [minute(back, 1000, 10 if back % 90 < 30 else 0, revision) for back in range(until, since)]


def test_a_day_tells_how_errors_come_in_spells_and_is_one_question() -> None:
    monitoring = Monitoring(*spells("a", since=24 * 60))
    assert with_history(monitoring).likely > 40
    assert monitoring.asked == [timedelta(hours=24)]


def test_what_was_served_by_a_revision_that_was_taken_back_is_none_of_it() -> None:
    bad = [minute(back, 1000, 30, "taken-back") for back in range(60, 90)]
    even = [minute(back, 1000, 5, "a") for back in (*range(60), *range(90, 24 * 60))]
    assert with_history(Monitoring(*even, *bad)) == INDEPENDENT
    assert with_history(Monitoring(*even, *spells("before", since=24 * 60, until=90))) == INDEPENDENT


@pytest.mark.parametrize("monitoring", [Monitoring(down=True), Monitoring()])
def test_without_a_history_the_half_hour_must_do(monitoring: Monitoring) -> None:
    half_hour = baseline_of("s", NOW, [minute(back, 100, 4 if back < 6 else 0) for back in range(30)])
    assert baseline.with_history(monitoring, half_hour) == half_hour  # type: ignore[arg-type]


@given(some.lists(some.tuples(some.integers(0, 500), some.integers(0, 500)), max_size=40))
def test_nothing_is_lost_and_the_dispersion_is_at_least_one(minutes: list[tuple[int, int]]) -> None:
    traffic = [minute(back, max(one), min(one)) for back, one in enumerate(minutes)]
    found = baseline_of("s", NOW, traffic)
    assert found.requests == sum(one.requests for one in traffic[:30])
    assert found.dispersion.likely >= 1
    assert found.until - found.since == WINDOW


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    assert stored(file) is None
    found = baseline_of("s", NOW, [minute(1, 10, 1)], latencies_ms={"mongodb": 3.5})
    store(file, found)
    assert stored(file) == found


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"service": 1}'])
def test_a_file_that_is_none_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(ObserverError, match="is no baseline"):
        stored(file)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    empty = Baseline.model_validate(baseline_of("s", NOW, []).model_dump())
    with pytest.raises(ObserverError, match="could not be kept"):
        store(tmp_path / "missing" / "baseline.json", empty)
