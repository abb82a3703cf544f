"""What a watch makes of Cloud Monitoring: late, behind, or down."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.watch.scripted_sources import MONITOR, NOWHERE, OLD, OURS, START, at, told, totals
from verification.clients.google.cloud_monitoring import CloudMonitoring, Histogram, RevisionTraffic
from verification.errors import ObserverError, VerificationError
from verification.watch.sources.metrics import InstanceSource, MetricsSource


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
