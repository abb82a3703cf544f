"""The watch, end to end: a healthy release, users that stay away, observers that are down, and others who deploy."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks import web
from tests.runs.conftest import until
from tests.runs.watching import Watching, crowd, watching, world
from verification.watch.samples import SampleFile

__all__ = ["crowd", "watching", "world"]

CRITERIA = 15
SENTRYS = {"sentry_error_rate", "no_new_error_types", "no_critical_errors"}


def test_a_healthy_release_is_watched_to_the_end_and_left_alone(watching: Watching) -> None:
    watching.world.release()
    ran = watching.run(*watching.arguments, variables=watching.world.variables)
    assert ran.code == 0, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert len(ran.verdict.criteria) == ran.verdict.criteria_in_phase == CRITERIA
    assert all(one.measurements for one in ran.verdict.criteria), "every verdict shows its evidence"
    rate = next(one for one in ran.verdict.criteria if one.id == "cloud_run_error_rate")
    assert (rate.measurements[0].samples or 0) >= 20
    assert ran.report.count("svg xmlns") + ran.report.count("lt;svg") >= 5, "a chart for each series"


@pytest.mark.parametrize(
    ("faults", "unknown"),
    [
        ("sentry-down,logging-down", {*SENTRYS, "no_container_restarts", "no_database_connection_errors"}),
        ("sentry-empty,monitoring-down", {*SENTRYS, "instance_count_in_range"}),
    ],
)
def test_an_observer_that_is_down_is_neither_good_nor_the_service_s_fault(
    faults: str, unknown: set[str], watching: Watching
) -> None:
    ran = watching.run(*watching.arguments, "--fault", faults, variables=watching.world.variables)
    assert ran.code == 75, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert {one.verdict for one in ran.verdict.criteria} == {"pass", "inconclusive"}
    assert unknown <= {one.id for one in ran.verdict.criteria if one.verdict == "inconclusive"}
    assert watching.world.answering() == {watching.world.note()["current"]}


def test_a_watch_that_cannot_say_which_revision_serves_is_no_go(watching: Watching) -> None:
    world = watching.world
    old = world.note()["current"]
    world.pin(old)
    ran = watching.run(*watching.arguments, "--fault", "cloud-run-down", variables=world.variables)
    assert ran.code == 75, ran.said
    assert {one.verdict for one in ran.verdict.criteria} == {"inconclusive"}, ran.said
    health = next(one for one in ran.verdict.criteria if one.id == "service_stays_healthy")
    assert f"whether {world.note()['current']} was watched is not known" in health.reason
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {old} != {world.note()["current"]}


def test_users_that_stay_away_are_missed(watching: Watching) -> None:
    ran = watching.run(*watching.arguments, "--fault", "traffic-drop", variables=watching.world.variables)
    assert ran.code == 1, ran.said
    assert "traffic_matches_baseline" in ran.verdict.rollback.triggers


def test_a_watch_that_was_killed_goes_on_in_the_next_run(watching: Watching, tmp_path: Path) -> None:
    world, run = watching.world, watching.run
    world.release()
    killed = run.start(*watching.arguments, "--no-rollback", variables=world.variables)
    files = run.output

    def seen() -> int:
        found = list(files.glob("*/samples.csv"))
        return sum(one.traffic is not None for file in found for one in SampleFile(file).read())

    until(lambda: seen() >= 3, "three blocks of a watch")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    ran = run(*watching.arguments, "--resume", "last", variables=world.variables)
    assert ran.code in {0, 75}, ran.said
    samples = SampleFile(ran.folder / "samples.csv").read()
    blocks = [one.at for one in samples if one.stream == "traffic/log"]
    assert len(blocks) == len(set(blocks)), "no block is read twice"
    first = SampleFile(next(iter(sorted(files.glob("*/samples.csv"))))).read()
    assert samples[0].at == first[0].at, "it began when the first one did"


def test_somebody_elses_deployment_is_not_judged(watching: Watching) -> None:
    world, run = watching.world, watching.run
    world.release()
    begun = run.start(*watching.arguments, variables=world.variables)
    until(lambda: any(run.output.glob("*/samples.csv")), "a watch")
    theirs = world.release("error-rate")["current"]
    ran = run.end(begun)
    assert ran.code == 75, ran.said
    assert "somebody else changed what serves" in ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {theirs}


def test_without_users_the_suites_own_questions_carry_the_verdict_and_it_is_said(watching: Watching) -> None:
    operator = watching.world.document["operator"]
    watching.world.release()
    web.put(f"{operator}/users", json={"rpm": 0}).raise_for_status()
    try:
        ran = watching.run(*watching.arguments, "--no-rollback", variables=watching.world.variables)
    finally:
        web.put(f"{operator}/users", json={"rpm": 600}).raise_for_status()
    rate = next(one for one in ran.verdict.criteria if one.id == "cloud_run_error_rate")
    assert rate.verdict == "pass", ran.said
    assert ran.of("traffic_matches_baseline") == "fail", "half an hour ago there were many"
