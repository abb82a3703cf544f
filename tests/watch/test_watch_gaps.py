"""What a watch makes of sources and criteria that fail, hang or break: a gap, and no verdict."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from tests.watch.watch_stage import ASKED, START, Scripted, Stage, good, health, no_thread_stays, stage, verdict
from verification.errors import ObserverError
from verification.judge.judgement import Judgement
from verification.series import WatchRow
from verification.verdict import Measurement
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, ForbiddenEvents
from verification.watch.criteria.gauges import DEPENDENCY, MedianLatency
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH, RepeatedCheck
from verification.watch.samples import Sample

__all__ = ["no_thread_stays", "stage"]


@pytest.mark.parametrize("problem", [ObserverError("Sentry is down"), RuntimeError("a bug"), ValueError("NaN")])
def test_a_source_that_fails_is_a_gap_and_no_verdict(stage: Stage, problem: Exception) -> None:
    def fail(_: datetime) -> Iterable[Sample]:
        raise problem

    critical = ForbiddenEvents(
        "no_critical_errors", "critical errors", CRITICAL_ERRORS, "Sentry", enough=1, at_once=True
    )
    ended = stage.watch([critical, health()], Scripted((CRITICAL_ERRORS,), fail), Scripted((HEALTH,), good)).run()
    assert verdict(ended["no_critical_errors"]) == "inconclusive"
    assert str(problem) in ended["no_critical_errors"].judgement.reason
    assert verdict(ended["service_stays_healthy"]) == "pass", "the other sources go on"


def test_every_source_down_at_once_proves_nothing(stage: Stage) -> None:
    def fail(_: datetime) -> Iterable[Sample]:
        raise ObserverError("nobody answers")

    latency = MedianLatency("mongodb", 100, "deep health")
    ended = stage.watch([health(), latency], Scripted((HEALTH, f"{DEPENDENCY}mongodb"), fail)).run()
    assert {verdict(one) for one in ended.values()} == {"inconclusive"}
    assert not any(one.judgement.observed for one in ended.values())


def test_a_source_that_hangs_is_not_waited_for(stage: Stage) -> None:
    released = threading.Event()

    def hang(_: datetime) -> Iterable[Sample]:
        released.wait(30)
        return []

    stage.clock.step = 15.0
    try:
        ended = stage.watch([health()], Scripted((HEALTH,), hang, waited_for=False)).run()
    finally:
        released.set()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"


def test_a_machine_that_sleeps_for_ten_minutes_has_not_watched_them(stage: Stage) -> None:
    slept: list[bool] = []

    def tell(at: datetime) -> Iterable[Sample]:
        if not slept:
            slept.append(True)
            stage.clock.sleep(600)
        yield Sample(HEALTH, at, 1.0)

    ended = stage.watch([health()], Scripted((HEALTH,), tell, every=1.0), seconds=601, most=601).run()
    found = ended["service_stays_healthy"]
    assert verdict(found) == "inconclusive"
    assert "had no answer" in found.judgement.reason


class Defective(RepeatedCheck):
    """A criterion with a defect: it breaks at whatever it is told to break at."""

    def __init__(self, breaks_at: str) -> None:
        super().__init__("user_flows_keep_working", "flows", FLOWS, ASKED)
        self.breaks_at = breaks_at

    def add_sample(self, sample: Sample) -> None:
        super().add_sample(sample)
        self._break_at("add_sample")

    def judge(self, *, at_end: bool) -> Judgement:
        self._break_at("judge")
        return super().judge(at_end=at_end)

    def measurement(self) -> Measurement:
        self._break_at("measurement")
        return super().measurement()

    def row(self) -> WatchRow:
        self._break_at("row")
        return super().row()

    def _break_at(self, method: str) -> None:
        if method == self.breaks_at:
            raise ZeroDivisionError(method)


@pytest.mark.parametrize("method", ["add_sample", "judge", "measurement", "row"])
def test_a_criterion_that_is_broken_takes_no_other_with_it(stage: Stage, method: str) -> None:
    def tell(at: datetime) -> Iterable[Sample]:
        yield Sample(HEALTH, at, float(at < START + timedelta(seconds=20)))

    watch = stage.watch([Defective(method), health()], Scripted((HEALTH,), tell))
    assert len(watch.snapshot().rows) == 2
    ended = watch.run()
    assert verdict(ended["service_stays_healthy"]) == "fail"
    assert verdict(ended["user_flows_keep_working"]) == "inconclusive"
    assert "ZeroDivisionError" in ended["user_flows_keep_working"].judgement.reason


def test_what_was_certain_stays_so_when_its_criterion_breaks_afterwards(stage: Stage) -> None:
    broken = Defective("measurement")
    flows = Scripted((FLOWS,), lambda at: [Sample(FLOWS, at, 0.0)])
    ended = stage.watch([broken], flows).run()
    assert verdict(ended["user_flows_keep_working"]) == "fail"
