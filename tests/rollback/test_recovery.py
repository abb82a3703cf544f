"""After a rollback users' requests are judged, too: well again, still bad, or too few to tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import web
from rollback.evidence.recovery import recovery
from tests.rollback.stage import Stage, with_rollback
from verification.verdict import Measurement

SECONDS = 3.0


def have_users(stage: Stage, rpm: int) -> None:
    web.put(f"{stage.sandbox.addresses.operator}/users", json={"rpm": rpm}).raise_for_status()


@pytest.fixture(autouse=True)
def users(stage: Stage) -> Iterator[None]:
    """Other tests do without: they keep a core busy."""
    have_users(stage, 600)
    yield
    have_users(stage, 0)


def look(stage: Stage, revision: str, seconds: float = SECONDS) -> tuple[dict[str, Measurement], str]:
    settings = with_rollback(stage.settings, metrics_within=seconds)
    assert settings.monitor is not None
    few = settings.monitor.model_copy(update={"minimum_requests": 20})
    found = recovery(settings.model_copy(update={"monitor": few}), stage.cloud_run, revision)
    return {one.name: one for one in found.checks}, found.problem


def test_users_that_are_well_again_are_seen_to_be(stage: Stage) -> None:
    checks, problem = look(stage, stage.release().current)
    assert problem == ""
    assert checks["error rate"].value == 0
    assert float(checks["p95 latency"].value or 0) > 0


def test_a_revision_that_still_fails_its_users_is_no_recovery(stage: Stage) -> None:
    # Health and smoke find nothing wrong with it: each client's first requests are answered well.
    _, problem = look(stage, stage.release("error-rate").current, 60)  # it ends as soon as it is proven
    assert "users' requests have not recovered" in problem
    assert "requests failed" in problem


def test_nobody_there_proves_nothing_and_is_said(stage: Stage) -> None:
    current = stage.release().current
    have_users(stage, 0)
    checks, problem = look(stage, current)
    assert problem == ""
    assert "not enough to judge by" in checks["error rate"].note


def test_a_log_that_cannot_be_read_is_no_bad_sign(stage: Stage) -> None:
    current = stage.release().current
    stage.put_faults("logging-down")
    checks, problem = look(stage, current)
    assert problem == ""
    assert checks["users' requests"].value is None
