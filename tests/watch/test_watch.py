"""The watch itself: how long it lasts, what ends it, and what it then says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.watch.watch_stage import ASKED, START, Scripted, Stage, good, health, no_thread_stays, stage, verdict
from verification.verdict import Verdict
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, ForbiddenEvents
from verification.watch.criteria.repeated_checks import HEALTH, RepeatedCheck
from verification.watch.samples import Sample

__all__ = ["no_thread_stays", "stage"]


def test_a_quiet_watch_lasts_its_time_and_passes(stage: Stage) -> None:
    ended = stage.watch([health()], Scripted((HEALTH,), good)).run()
    assert (stage.clock.time - START).total_seconds() >= 60
    assert verdict(ended["service_stays_healthy"]) == "pass"


def test_what_is_certain_ends_it_at_once_and_the_rest_is_not_judged_by_halves(stage: Stage) -> None:
    critical = ForbiddenEvents(
        "no_critical_errors", "critical errors", CRITICAL_ERRORS, "Sentry", enough=1, at_once=True
    )

    def tell(at: datetime) -> Iterable[Sample]:
        return [Sample(CRITICAL_ERRORS, at, 1.0, "17", "Boom")] if at > START + timedelta(seconds=5) else []

    ended = stage.watch([critical, health()], Scripted((CRITICAL_ERRORS,), tell), Scripted((HEALTH,), good)).run()
    assert (stage.clock.time - START).total_seconds() < 50
    assert verdict(ended["no_critical_errors"]) == "fail"
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert "no_critical_errors was certain to fail" in ended["service_stays_healthy"].cut_short
    assert stage.certain == [("no_critical_errors", ended["no_critical_errors"].judgement.reason)], (
        "whoever keeps the journal is told before the watch has ended"
    )
    series = ended["no_critical_errors"].measurement.series
    assert series is not None
    assert series.decided_at is not None


def test_what_stays_undecided_is_watched_for_longer(stage: Stage) -> None:
    def ends_badly_at_first(at: datetime) -> Iterable[Sample]:
        bad = timedelta(seconds=50) < at - START < timedelta(seconds=70)
        yield Sample(HEALTH, at, 0.0 if bad else 1.0, text="status is 503")

    lenient = RepeatedCheck("service_stays_healthy", "health", HEALTH, replace(ASKED, lasting_s=1000))
    ended = stage.watch([lenient], Scripted((HEALTH,), ends_badly_at_first), seconds=60, most=120).run()
    assert timedelta(seconds=90) <= stage.clock.time - START < timedelta(seconds=115)
    assert verdict(ended["service_stays_healthy"]) == "pass"


def test_it_is_stopped_when_nobody_waits_for_it(stage: Stage) -> None:
    source = Scripted((HEALTH,), good)
    watch = stage.watch([health()], source, seconds=10_000, most=10_000)
    watch.stop()
    ended = watch.run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert verdict_of(ended) == {None}


def verdict_of(ended: object) -> set[Verdict | None]:
    assert isinstance(ended, dict)
    return {one.judgement.verdict for one in ended.values()}
