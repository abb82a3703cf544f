"""The watch, end to end: a bad release is caught and undone while users meet it."""

from __future__ import annotations

import pytest

from tests.runs.watching import Watching, crowd, watching, world

__all__ = ["crowd", "watching", "world"]


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


def test_a_dependency_that_is_slow_for_every_revision_is_not_the_releases_fault(watching: Watching) -> None:
    text = watching.patient.read_text(encoding="utf-8").replace('openai_latency = "1h ', 'openai_latency = "')
    watching.patient.write_text(text, encoding="utf-8")
    ran = watching.run(*watching.arguments, "--fault", "dependency-slow-everywhere", variables=watching.world.variables)
    assert ran.of("openai_latency") == "fail", ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.guard) == ("withheld", "previous_no_better")
    assert "told #incidents" in ran.said
    assert watching.world.answering() == {watching.world.note()["current"]}
