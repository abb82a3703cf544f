"""Which revision a watch has watched: somebody must have seen that it served all the while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import pytest

from tests.watch.watch_stage import (
    MONITOR,
    REVISION,
    START,
    Scripted,
    Stage,
    good,
    health,
    no_thread_stays,
    stage,
    verdict,
)
from verification.errors import ObserverError
from verification.watch.criteria.gauges import DEPENDENCY, MedianLatency
from verification.watch.criteria.repeated_checks import HEALTH
from verification.watch.samples import Sample, SampleFile
from verification.watch.sources.serving import SERVING
from verification.watch.watch import Watch, WatchPlan
from verification.watch.witness import Witness

__all__ = ["no_thread_stays", "stage"]


def test_somebody_elses_deployment_is_never_judged(stage: Stage) -> None:
    def serving(at: datetime) -> Iterable[Sample]:
        other = at > START + timedelta(seconds=5)
        yield Sample(SERVING, at, key="backend-00003-xyz" if other else REVISION, text="backend-00003-xyz 100 %")

    def bad_afterwards(at: datetime) -> Iterable[Sample]:
        yield Sample(HEALTH, at, 0.0 if at > START + timedelta(seconds=9) else 1.0, text="status is 503")

    ended = stage.watch([health()], Scripted((SERVING,), serving), Scripted((HEALTH,), bad_afterwards)).run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert "somebody else changed what serves" in ended["service_stays_healthy"].cut_short


def serving(*, unknown: Callable[[float], bool]) -> Scripted:
    """Cloud Run, which cannot say what serves while `unknown`, by the seconds since the start."""

    def tell(at: datetime) -> Iterable[Sample]:
        if unknown((at - START).total_seconds()):
            raise ObserverError("Cloud Run's API is down")
        yield Sample(SERVING, at, key=REVISION, text=f"{REVISION} 100 %")

    return Scripted((SERVING,), tell)


def never(_: float) -> bool:
    return False


def always(_: float) -> bool:
    return True


def test_a_watch_that_cannot_say_which_revision_serves_never_passes(stage: Stage) -> None:
    latency = MedianLatency("mongodb", 100, "deep health")
    dependency = Scripted((f"{DEPENDENCY}mongodb",), lambda at: [Sample(f"{DEPENDENCY}mongodb", at, 3.0)])
    sources = (Scripted((HEALTH,), good), dependency, serving(unknown=always))
    ended = stage.watch([health(), latency], *sources).run()
    assert {verdict(one) for one in ended.values()} == {"inconclusive"}
    for one in ended.values():
        assert f"whether {REVISION} was watched is not known" in one.judgement.reason
        assert "Cloud Run's API is down" in one.judgement.reason


def test_what_is_ambiguous_moves_nothing_where_nobody_knows_what_serves(stage: Stage) -> None:
    latency = MedianLatency("mongodb", 100, "deep health")
    turns = iter([3.0, 300.0, 300.0])
    dependency = Scripted((f"{DEPENDENCY}mongodb",), lambda at: [Sample(f"{DEPENDENCY}mongodb", at, next(turns))])
    ended = stage.watch([latency], dependency, serving(unknown=always), seconds=5, most=5).run()
    assert verdict(ended["mongodb_latency"]) == "inconclusive"


def test_a_failure_stays_one_where_nobody_knows_what_serves(stage: Stage) -> None:
    bad = Scripted((HEALTH,), lambda at: [Sample(HEALTH, at, 0.0, text="status is 503")])
    ended = stage.watch([health()], bad, serving(unknown=always)).run()
    assert verdict(ended["service_stays_healthy"]) == "fail"


def test_it_is_extended_while_nobody_can_say_what_serves(stage: Stage) -> None:
    blind = serving(unknown=lambda second: second > 50)
    ended = stage.watch([health()], Scripted((HEALTH,), good), blind, seconds=60, most=120).run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert (stage.clock.time - START).total_seconds() >= 120


def test_a_watch_that_saw_what_serves_passes(stage: Stage) -> None:
    ended = stage.watch([health()], Scripted((HEALTH,), good), serving(unknown=never)).run()
    assert verdict(ended["service_stays_healthy"]) == "pass"


@pytest.mark.parametrize(
    ("looks", "unknown"),
    [
        ("+++++", ""),
        ("+?+++", ""),
        ("?++++", ""),
        ("++++?", "1 of 5 times nobody could tell what serves (it is down)"),
        ("??+++", "2 of 5 times nobody could tell what serves (it is down)"),
        ("?????", "5 of 5 times nobody could tell what serves (it is down)"),
        ("", "0 of 0 times nobody could tell what serves (nobody could look)"),
    ],
)
def test_what_serves_is_known_where_nearly_every_look_and_the_last_one_told(looks: str, unknown: str) -> None:
    witness = Witness(REVISION, present=True)
    for number, look in enumerate(looks):
        when = START + timedelta(seconds=number)
        told = Sample(SERVING, when, key=REVISION)
        witness.add_sample(told if look == "+" else Sample(SERVING, when, missing=True, text="it is down"))
    assert witness.unknown == (f"whether {REVISION} was watched is not known: {unknown}" if unknown else "")
    assert witness.changed == ""


def test_a_watch_of_a_revision_that_nobody_could_name_never_passes(stage: Stage) -> None:
    plan = WatchPlan("", START, 20, 20, MONITOR)
    sources = (Scripted((HEALTH,), good), serving(unknown=never))
    watch = Watch(plan, [health()], [], sources, SampleFile(stage.folder / "samples.csv"), stage.clock)
    found = watch.run()["service_stays_healthy"]
    assert verdict(found) == "inconclusive"
    assert "which revision was watched is not known" in found.judgement.reason
