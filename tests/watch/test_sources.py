"""What the sources of a watch make of what the systems answer: late, twice, in disorder, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

import httpx
import pytest

from tests.conftest import Address, program, ready
from verification.clients.google.cloud_logging import CloudLogging, LogEntry, LoggedRequest, LoggedRequests
from verification.clients.google.cloud_monitoring import CloudMonitoring, Histogram, RevisionTraffic
from verification.errors import ObserverError, VerificationError
from verification.settings.monitor import Monitor
from verification.settings.observers import SentrySettings
from verification.settings.service import CloudRunSettings
from verification.watch.criteria.forbidden_events import (
    CRITICAL_ERRORS,
    DATABASE_ERRORS,
    NEW_ERRORS,
    RESTARTS,
)
from verification.watch.criteria.sentry_rate import SENTRY_RATE
from verification.watch.samples import Sample, TrafficBlock
from verification.watch.sources.metrics import InstanceSource, MetricsSource
from verification.watch.sources.observers import SentrySource, TroubleSource
from verification.watch.sources.questions import AskedAgain
from verification.watch.sources.request_log import RequestLogSource

T = TypeVar("T")
START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
OURS, OLD = "backend-00002-abc", "backend-00001-xyz"
MONITOR = Monitor.model_validate(
    {
        "block": "10s",
        "log_delay": "5s",
        "observers_every": "30s",
        "roll_back_at": {"error_rate": "5%", "p95_latency": "2s", "lasting": "300s"},
    }
)
NOWHERE = CloudRunSettings.model_validate({"service": "backend", "region": "us-east1", "project": "nowhere"})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(samples: Iterable[Sample]) -> list[TrafficBlock | None]:
    return [one.traffic for one in samples]


def totals(samples: Iterable[Sample]) -> list[int | None]:
    return [one.traffic.total if one.traffic else None for one in samples]


# --- the request log ------------------------------------------------------------------------------------------


class ScriptedLogs(CloudLogging):
    """Cloud Logging as a test says: `lines` with the moment that each can be seen from."""

    def __init__(self) -> None:
        super().__init__(NOWHERE)
        self.lines: list[tuple[datetime, LoggedRequest]] = []
        self.entries: list[LogEntry] = []
        self.now = START
        self.most = 5_000
        self.problem: VerificationError | None = None
        self.unreadable = 0
        self.asked: list[tuple[datetime, datetime]] = []

    def request(self, seconds: float, *, seen_after: float = 0.0, **changes: object) -> LoggedRequest:
        one = LoggedRequest(f"line-{len(self.lines)}", at(seconds), OURS, 200, 0.1, "Mozilla/5.0", "/")
        changed = replace(one, **changes)  # type: ignore[arg-type]
        self.lines.append((changed.at + timedelta(seconds=seen_after), changed))
        return changed

    def requests(self, since: datetime, until: datetime, most: int = 0) -> LoggedRequests:
        self.asked.append((since, until))
        if self.problem:
            raise self.problem
        there = [one for seen, one in self.lines if since <= one.at < until and seen <= self.now]
        return LoggedRequests(tuple(there[: most or self.most]), len(there) <= (most or self.most), self.unreadable)

    def troubles(self, since: datetime, until: datetime) -> tuple[LogEntry, ...]:
        return tuple(one for one in self.entries if since <= one.at < until)


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


# --- Cloud Monitoring -------------------------------------------------------------------------------------------


class ScriptedMetrics(CloudMonitoring):
    """Cloud Monitoring as a test says."""

    def __init__(self) -> None:
        super().__init__(NOWHERE)
        self.points: list[RevisionTraffic] = []
        self.counts: list[tuple[datetime, int]] = []
        self.problem: VerificationError | None = None

    def point(
        self, end: float, requests: int, errors: int = 0, revision: str = OURS, buckets: int | None = None
    ) -> None:
        known = requests if buckets is None else buckets
        latencies = Histogram((100.0, 400.0, 600.0, 2500.0), (known, 0, 0, 0, 0))
        self.points.append(RevisionTraffic(revision, at(end - 60), at(end), requests, errors, latencies))

    def traffic(self, since: datetime, until: datetime) -> tuple[RevisionTraffic, ...]:
        if self.problem:
            raise self.problem
        return tuple(one for one in self.points if since < one.end <= until)

    def instances(self, since: datetime, until: datetime) -> tuple[tuple[datetime, int], ...]:
        return tuple(one for one in self.counts if since <= one[0] <= until)


@pytest.fixture
def monitoring() -> ScriptedMetrics:
    return ScriptedMetrics()


def metrics(monitoring: ScriptedMetrics, start: float = 0) -> MetricsSource:
    return MetricsSource(monitoring, OURS, at(start), (60, 120), MONITOR, 0.5)


def test_periods_are_monitorings_own_and_the_first_is_wholly_the_watchs(monitoring: ScriptedMetrics) -> None:
    source = metrics(monitoring, start=7)
    for end in (60, 120, 180):
        monitoring.point(end, 100, 3)
    assert list(source.read_samples(at(239))) == [], "the period is over, and cannot be seen yet"
    (found,) = source.read_samples(at(240))
    assert found.at == at(60), "the watch began within the one before"
    assert found.traffic is not None
    assert (found.traffic.total, found.traffic.errors, found.traffic.seconds) == (100, 3, 60)
    assert [one.at for one in source.read_samples(at(300))] == [at(120)]


def test_points_belong_where_they_end_and_other_revisions_only_to_everyone(monitoring: ScriptedMetrics) -> None:
    monitoring.point(60, 40)
    monitoring.point(60, 10, 10, revision=OLD)
    monitoring.point(30.5, 5)  # two in one period: both count
    monitoring.point(120, 7)
    first, second = told(metrics(monitoring).read_samples(at(240)))
    assert first is not None
    assert second is not None
    assert (first.total, first.errors, first.everyone) == (45, 0, 55)
    assert second.total == 7


def test_requests_without_a_latency_may_have_been_slow(monitoring: ScriptedMetrics) -> None:
    monitoring.point(60, 10, buckets=8)
    (found,) = told(metrics(monitoring).read_samples(at(180)))
    assert found is not None
    assert (found.slow, found.possibly_slow) == (0, 2)


def test_metrics_that_are_behind_are_no_lack_of_users(monitoring: ScriptedMetrics) -> None:
    source = metrics(monitoring)
    monitoring.point(60, 100)
    assert totals(source.read_samples(at(180))) == [100]
    assert list(source.read_samples(at(360))) == [], "two periods that nobody can see yet"
    monitoring.point(180, 100)
    assert totals(source.read_samples(at(360))) == [0, 100], "nobody came in the one between: the next one can be seen"
    late = list(source.read_samples(at(180 + 120 + 7 * 60)))
    assert totals(late) == [None]
    assert late[0].missing


def test_an_outage_of_monitoring_is_a_gap_only_when_it_lasts(monitoring: ScriptedMetrics) -> None:
    source = metrics(monitoring)
    monitoring.problem = ObserverError("Cloud Monitoring counts in bool_value")  # of another kind than counts are
    with pytest.raises(ObserverError):
        source.read_samples(at(300))
    assert totals(source.read_samples(at(540))) == [None]
    monitoring.problem = None
    monitoring.point(120, 9)
    monitoring.point(420, 8)
    assert totals(source.read_samples(at(540))) == [9, 0, 0, 0, 0, 8]


def test_instances_are_told_once(monitoring: ScriptedMetrics) -> None:
    source = InstanceSource(monitoring, START, every=30)
    monitoring.counts = [(at(60), 2), (at(120), 3)]
    assert [one.value for one in source.read_samples(at(100))] == [2]
    assert [one.value for one in source.read_samples(at(150))] == [3]
    assert list(source.read_samples(at(200))) == []


# --- the containers' logs ---------------------------------------------------------------------------------------


def entry(seconds: float, text: str, revision: str = OURS) -> LogEntry:
    return LogEntry(f"{seconds}-{text}", at(seconds), revision, "ERROR", text, "run.googleapis.com/stderr")


def test_each_trouble_is_told_once_and_by_its_kind() -> None:
    logs = ScriptedLogs()
    source = TroubleSource(logs, OURS, START, every=30, delay=15)
    logs.entries = [
        entry(1, "pymongo.errors.ServerSelectionTimeoutError: mongo:27017 refused"),
        entry(2, "Memory limit of 512 MiB exceeded with 530 MiB used.", revision=""),
        entry(3, "ValueError: a thing of the service's own"),
        entry(4, "AutoReconnect: connection closed", revision=OLD),
    ]
    told_first = [(one.stream, one.at) for one in source.read_samples(at(30)) if one.key]
    assert told_first == [(DATABASE_ERRORS, at(1)), (RESTARTS, at(2))]
    looked = list(source.read_samples(at(60)))
    assert [(one.stream, one.key) for one in looked] == [(DATABASE_ERRORS, ""), (RESTARTS, "")], "looked, nothing new"
    logs.entries.append(entry(20, "NetworkTimeout: mongo:27017: timed out"))  # visible late
    assert [one.at for one in source.read_samples(at(75)) if one.key] == [at(20)]
    assert [one for second in (90, 120, 150) for one in source.read_samples(at(second)) if one.key] == []


# --- Sentry -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> Iterator[Address]:
    with program("--users-rpm", "60") as process:
        yield ready(process)


@pytest.fixture
def asked(world: Address) -> Iterator[Callable[[bool], SentrySource]]:
    sentry = world["sentry"]
    settings = SentrySettings.model_validate(
        {"url": sentry["url"], "organization": sentry["organization"], "project": sentry["project"], "timeout": "10s"}
    )
    variables = {"SENTRY_AUTH_TOKEN": sentry["token"], "SENTRY_DSN": sentry["dsn"]["production"]}
    made: list[SentrySource] = []

    def make(dry_run: bool) -> SentrySource:
        since = datetime.now(UTC) - timedelta(minutes=30)
        made.append(SentrySource(settings, variables, since, every=1, dry_run=dry_run))
        return made[-1]

    yield make
    httpx.put(f"{world['operator']}/faults", json={"faults": []}).raise_for_status()
    for one in made:
        one.close()


def test_sentry_tells_its_counts_and_that_it_looked(asked: Callable[[bool], SentrySource]) -> None:
    rate, *rest = asked(False).read_samples(datetime.now(UTC))
    assert (rate.stream, rate.missing) == (SENTRY_RATE, False)
    assert int(rate.key) > 0
    assert [(one.stream, one.key) for one in rest[-2:]] == [(NEW_ERRORS, ""), (CRITICAL_ERRORS, "")]


def test_a_sentry_that_finds_nothing_is_not_believed_unproven(
    asked: Callable[[bool], SentrySource], world: Address
) -> None:
    httpx.put(f"{world['operator']}/faults", json={"faults": ["sentry-empty"]}).raise_for_status()
    with pytest.raises(ObserverError):
        asked(True).read_samples(datetime.now(UTC))


def test_a_new_critical_error_is_told_with_its_name(asked: Callable[[bool], SentrySource], world: Address) -> None:
    source = asked(False)
    release = {"environment": "production", "faults": ["critical-error"]}
    httpx.post(f"{world['operator']}/release", json=release, timeout=20).raise_for_status()
    found = [one for one in source.read_samples(datetime.now(UTC) + timedelta(seconds=5)) if one.key and one.value]
    assert {one.stream for one in found if one.stream != SENTRY_RATE} == {NEW_ERRORS, CRITICAL_ERRORS}


# --- the suite's own questions ----------------------------------------------------------------------------------


class Answers(AskedAgain):
    """Answers as a test says: good, bad, or none."""

    streams = ("health",)

    def __init__(self, *answers: float | None, soon: float = 2) -> None:
        super().__init__(every=5, soon=soon)
        self.answers = iter(answers)

    def _answers(self, at: datetime) -> Iterable[Sample]:
        value = next(self.answers)
        return [Sample("health", at, value, missing=value is None)]


def paces(source: Answers, answers: int) -> list[float]:
    found = []
    for number in range(answers):
        assert len(list(source.read_samples(at(number)))) == 1
        found.append(source.every)
    return found


def test_after_a_bad_answer_it_is_asked_again_sooner_and_never_later() -> None:
    assert paces(Answers(1.0, 0.0, 0.0, None, 0.0, 1.0), 6) == [5, 2, 2, 5, 2, 5]
    assert paces(Answers(1.0, 0.0, 0.0, soon=10), 3) == [5, 5, 5]
