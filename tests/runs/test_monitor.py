"""The watch, end to end: a bad release is caught and undone while users meet it, and an observer's outage is neither."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import program, ready
from tests.runs.conftest import SHIPPED, Runner, World, patient, until
from verification.watch.samples import SampleFile

CRITERIA = 15
SECONDS = 8
SENTRYS = {"sentry_error_rate", "no_new_error_types", "no_critical_errors"}


@pytest.fixture(scope="module")
def crowd() -> Iterator[World]:
    with program("--users-rpm", "600") as process:
        yield World(ready(process))


@pytest.fixture
def world(crowd: World) -> World:
    """A sandbox with many users, put right: its production is healthy and follows deployments."""
    crowd.put_right()
    return crowd


@pytest.fixture
def watching(run: Runner, world: World) -> Watching:
    return Watching(run, world)


class Watching:
    """Watches for a few seconds only."""

    def __init__(self, run: Runner, world: World) -> None:
        self.run, self.world = run, world
        text = SHIPPED.replace(
            'watch = "20s"\nextended_to = "30s"', f'watch = "{SECONDS}s"\nextended_to = "{SECONDS}s"'
        )
        text = text.replace("minimum_requests = 100", "minimum_requests = 20")
        for limit in ("mongodb_latency", "openai_latency", "elevenlabs_latency", "pinecone_latency"):
            text = text.replace(f'{limit} = "', f'{limit} = "1h ')
        assert f'watch = "{SECONDS}s"' in text
        self.file = run.folder / "deployment.toml"
        self.file.write_text(text, encoding="utf-8")
        self.patient = run.folder / "patient.toml"
        self.patient.write_text(patient(text), encoding="utf-8")

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("-m", "monitor", "--env", "sandbox", f"--deployment={self.patient}")

    @property
    def impatient(self) -> tuple[str, ...]:
        return (*self.arguments[:-1], f"--deployment={self.file}")


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
    ("faults", "criterion"),
    [
        ("error-rate@1s", "cloud_run_error_rate"),
        ("latency@1s", "p95_latency"),
        ("unhealthy@2s", "service_stays_healthy"),
        ("login-broken@1s", "user_flows_keep_working"),
        ("critical-error", "no_critical_errors"),
        ("out-of-memory", "no_container_restarts"),
        ("mongodb-down@2s", "no_database_connection_errors"),
        # What is left of the evidence is enough.
        ("error-rate@1s,logging-down", "cloud_run_error_rate"),
        ("error-rate@1s,monitoring-down,sentry-down", "cloud_run_error_rate"),
        ("unhealthy@2s,logging-down,monitoring-down,sentry-down", "service_stays_healthy"),
        ("ramp", "cloud_run_error_rate"),
    ],
)
def test_a_bad_release_is_caught_while_users_meet_it_and_undone(
    faults: str, criterion: str, watching: Watching
) -> None:
    world = watching.world
    before = world.answering().pop()
    arguments = watching.impatient if faults.startswith("latency") else watching.arguments
    ran = watching.run(*arguments, "--fault", faults, variables=world.variables)
    assert ran.code in {1, 70}, ran.said
    triggers = set(ran.verdict.rollback.triggers)
    assert triggers, ran.said
    # Several are certain within a moment of each other; with these any of them may be the first.
    if faults.partition("@")[0] not in {"unhealthy", "login-broken", "mongodb-down"}:
        assert criterion in triggers, ran.said
    assert ran.verdict.rollback.outcome == "done"
    assert world.answering() == {before}, "the client of the ingress sees the old revision again"


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
    httpx.put(f"{operator}/users", json={"rpm": 0}).raise_for_status()
    try:
        ran = watching.run(*watching.arguments, "--no-rollback", variables=watching.world.variables)
    finally:
        httpx.put(f"{operator}/users", json={"rpm": 600}).raise_for_status()
    rate = next(one for one in ran.verdict.criteria if one.id == "cloud_run_error_rate")
    assert rate.verdict == "pass", ran.said
    assert ran.of("traffic_matches_baseline") == "fail", "half an hour ago there were many"
