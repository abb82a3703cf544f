"""`pytest --env sandbox`: the gates, the deployment between them, and what is asked after it, in one run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import program, ready
from tests.runs.conftest import Runner, World


@pytest.fixture
def world() -> Iterator[World]:
    """A sandbox as it begins, for gates ask what was deployed before; with users, for the watch misses them."""
    with program("--users-rpm", "600") as process:
        yield World(ready(process))


def test_what_passes_its_gates_is_deployed_and_asked_anew(run: Runner, world: World) -> None:
    before = world.answering()
    ran = run("--env", "sandbox", variables=world.variables)
    assert ran.code == 0, ran.said
    assert set(ran.verdict.phases) >= {"pre", "smoke"}
    assert ran.verdict.previous_revision in before
    assert world.answering() == {ran.verdict.revision} != before
    announcement, outcome = world.slack("deployments")[-2:]
    assert outcome["thread_ts"] == announcement["ts"], "the team is told in the thread of the announcement"
    assert "GO: All " in outcome["text"]
    served = next(one for one in ran.verdict.criteria if one.id == "serving_the_deployed_revision")
    assert ran.verdict.revision in {one.value for one in served.measurements}, "not what was answered before"


def test_a_release_that_breaks_in_production_only_is_undone(run: Runner, world: World) -> None:
    before = world.answering()
    ran = run("--env", "sandbox", "--fault", "login-broken", variables=world.variables)
    assert ran.code == 1, ran.said
    assert (ran.of("login[staging]"), ran.of("login")) == ("pass", "fail")
    assert ran.verdict.rollback.outcome == "done"
    assert "NO-GO: Rolled back to " in world.slack("deployments")[-1]["text"]
    assert world.answering() == before


def test_a_gate_that_is_not_passed_keeps_the_release_from_production(run: Runner, world: World) -> None:
    before = world.answering()
    ran = run("--env", "sandbox", "--fault", "slack-down", variables=world.variables)
    assert ran.code == 75, ran.said
    assert "nothing was deployed, because these do not pass: " in ran.said
    assert "team_is_notified" in ran.said
    assert {one.phase for one in ran.verdict.criteria} == {"pre"}
    assert ran.verdict.criteria_in_phase > len(ran.verdict.criteria)
    assert world.answering() == before
