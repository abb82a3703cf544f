"""What a watch makes of the request log: late, twice, in disorder, or not at all."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.watch.scripted_sources import MONITOR, OLD, OURS, START, ScriptedLogs, at, told, totals
from verification.errors import ObserverError
from verification.watch.samples import Sample
from verification.watch.sources.request_log import RequestLogSource


class Reader:
    """The source over scripted logs, in blocks of 10 s that can be seen 5 s later."""

    def __init__(self) -> None:
        self.logs = ScriptedLogs()
        self.source = RequestLogSource(self.logs, OURS, START, MONITOR, 0.5)

    def __call__(self, seconds: float) -> list[Sample]:
        self.logs.now = at(seconds)
        return list(self.source.read_samples(at(seconds)))


@pytest.fixture
def read() -> Reader:
    return Reader()


def test_a_block_is_told_once_after_its_delay(read: Reader) -> None:
    for second in range(30):
        read.logs.request(second)
    assert read(14) == []
    assert totals(read(15)) == [10]
    assert read(16) == []
    assert totals(read(36)) == [10, 10]
    assert read(65) == [], "beyond its newest line the log says nothing yet"


def test_what_happened_to_the_requests_is_counted(read: Reader) -> None:
    read.logs.request(1, status=500)
    read.logs.request(2, status=404)
    read.logs.request(3, latency_s=0.7)
    read.logs.request(4, latency_s=2.5, status=503)
    read.logs.request(5, latency_s=None)
    read.logs.request(6, revision="", status=503)  # it reached no revision: to users that is the service
    read.logs.request(7, revision=OLD, status=500)  # somebody else's
    read.logs.request(8, user_agent="deployment-verification/1.0", status=500)  # our own
    (found,) = told(read(15))
    assert found is not None
    assert (found.total, found.errors, found.everyone) == (6, 3, 7)
    assert (found.slow, found.possibly_slow, found.very_slow) == (2, 3, 1)
    assert sum(count for _, count in found.latencies) == 5


def test_a_line_that_comes_late_counts_once_in_the_block_that_is_told_then(read: Reader) -> None:
    read.logs.request(1)
    read.logs.request(2, seen_after=15)  # of a request that took long
    read.logs.request(12)
    read.logs.request(22)
    assert [totals(read(second)) for second in (15, 25, 35)] == [[1], [2], [1]]


def test_lines_told_twice_and_in_disorder_count_once(read: Reader) -> None:
    for second in (8, 3, 15, 1, 12):
        read.logs.request(second)
    read.logs.lines += read.logs.lines[::-1]
    assert totals(read(25)) == [3, 2]


def test_a_log_that_is_behind_is_no_lack_of_users(read: Reader) -> None:
    for second in range(60):
        read.logs.request(second, seen_after=40 if second >= 10 else 0)
    assert totals(read(15)) == [10]
    assert read(25) == read(35) == read(45) == [], "nothing can be seen yet: that is not zero"
    assert totals(read(75)) == [10, 10, 6], "as far as it has got; the rest of the last one is late"
    assert totals(read(110)) == [14, 10], "and nothing is lost"


def test_a_log_that_stays_empty_is_missing_in_the_end(read: Reader) -> None:
    read.logs.request(1)
    assert totals(read(15)) == [1]
    assert read(60) == []
    late = read(85)
    assert totals(late) == [None]
    assert "no lines yet" in late[0].text
    assert late[0].missing


def test_our_own_questions_show_that_nobody_else_came(read: Reader) -> None:
    for second in range(0, 30, 5):
        read.logs.request(second, user_agent="deployment-verification/1.0")
    assert totals(read(35)) == [0, 0, 0]


def test_an_answer_that_cannot_be_believed_is_missing(read: Reader) -> None:
    for second in range(20):
        read.logs.request(second)
    read.logs.unreadable = 5
    found = read(15)
    assert totals(found) == [None]
    assert "5 lines are unreadable" in found[0].text
    read.logs.unreadable = 0
    assert totals(read(25)) == [20], "what could not be read in time is late"


def test_more_than_can_be_read_at_once_is_read_in_parts(read: Reader) -> None:
    for second in range(160):
        read.logs.request(second)
    read.logs.most = 100
    found = read(165)
    while more := read(165):
        found += more
    assert totals(found) == [10] * 16, "after an outage, nothing of it is lost"
    assert all(first.at < second.at for first, second in pairwise(found))
    read.logs.most = 5
    for second in range(160, 170):
        read.logs.request(second)
    assert totals(read(175)) == [None], "no count of them may be believed"


def test_an_outage_is_a_gap_only_when_it_lasts(read: Reader) -> None:
    for second in range(200):
        read.logs.request(second)
    read.logs.problem = ObserverError("logging is down")
    with pytest.raises(ObserverError):
        read(40)
    read.logs.problem = None
    assert totals(read(45)) == [10, 10, 10, 10]
    read.logs.problem = ObserverError("logging is down")
    overdue = read(120)
    assert totals(overdue) == [None]
    assert "logging is down" in overdue[0].text


def test_after_a_machine_has_slept_the_log_is_read_on(read: Reader) -> None:
    for second in range(2000):
        read.logs.request(second)
    assert totals(read(15)) == [10]
    assert totals(read(1900)) == [10] * 60
    assert totals(read(1900)) == [10] * 60, "what was not asked for yet is not missing"


@pytest.mark.parametrize("skew", [-30.0, 30.0])
def test_a_clock_that_is_wrong_loses_no_request(read: Reader, skew: float) -> None:
    """Ours is ahead of the log's (its lines come late), or behind (there are lines of what is not due yet)."""
    for second in range(200):
        read.logs.request(second)
    found: list[Sample] = []
    for second in range(0, 120, 5):
        read.logs.now = at(second)
        found += read.source.read_samples(at(second + skew))
    assert not any(one.missing for one in found)
    counted = sum(one.traffic.total for one in found if one.traffic)
    assert len(found) >= 6
    assert 10 * (len(found) - 1) < counted <= 10 * len(found), "each once; those of the last block may be late"


def test_another_watch_goes_on_where_the_last_one_was(read: Reader) -> None:
    for second in range(40):
        read.logs.request(second)
    read.source.skip(at(20))
    assert totals(read(45)) == [10, 10]
    assert read.source.covers(at(40))
    assert not read.source.covers(at(50))
    assert totals(read.source.give_up(at(60))) == [None, None]
