"""When the first way of rolling back is broken: what is tried next, what never is, and what is looked at in between."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from benchmarks import web
from rollback.strategies.workflow_requests import WorkflowRequests
from tests.clients.relay import Relay, relay_to
from tests.rollback.stage import Stage, with_rollback
from verification.clients.github.workflow import DeployWorkflow
from verification.records.run_record import RollbackOutcome

DONE, WITHHELD, FAILED = RollbackOutcome.DONE, RollbackOutcome.WITHHELD, RollbackOutcome.FAILED
GCLOUD = shutil.which("gcloud")


@pytest.fixture
def armed(stage: Stage) -> Iterator[Stage]:
    """Production with a token for GitHub, and no gcloud."""
    stage.variables = {"GITHUB_TOKEN": stage.sandbox.addresses.github.token}
    stage.settings = with_rollback(stage.settings, shift_within=3.0, workflow_within=10.0)
    yield stage
    stage.put_faults("workflow-hangs")
    github = stage.settings.github
    assert github is not None
    with closing(DeployWorkflow(github, 5, stage.variables)) as workflow:  # else it moves the next test's traffic
        for run in runs(stage):
            if run["status"] != "completed":
                workflow.cancel(run["id"])


def runs(stage: Stage) -> list[dict[str, Any]]:
    """The runs of the deploy workflow that roll back, newest first."""
    there = stage.sandbox.addresses.github
    answer = web.get(
        f"{there.url}/repos/{there.repository}/actions/workflows/deploy-production.yml/runs",
        headers={"Authorization": f"Bearer {there.token}"},
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()["workflow_runs"]
    return [run for run in found if run["display_title"].startswith("Roll back to ")]


def refuse_writes(relay: Relay) -> None:
    relay.before = lambda method, _: (403, "no") if method == "PATCH" else None


def fall_silent(relay: Relay) -> None:
    relay.before = lambda *_: (503, "down")


@pytest.fixture
def hanging(relay: Relay) -> Iterator[Relay]:
    """Cloud Run's API keeps silent about writes until the test is over."""
    over = threading.Event()
    relay.before = lambda method, _: (503, "late") if method == "PATCH" and over.wait(30) else None
    yield relay
    over.set()


def test_a_first_way_that_hangs_gives_way_to_the_workflow(armed: Stage, hanging: Relay) -> None:
    note = armed.release("login-broken")
    result = armed.roll_back(armed.plan(note.previous))
    assert (result.outcome, result.verified, result.strategy) == (DONE, True, "github_workflow"), result.reason
    assert armed.serving == {note.previous: 100}
    assert hanging.count("PATCH") >= 1
    assert [event for event in armed.events if not event.startswith("workflow-")][1:6] == [
        "seen",
        "rolling-back",
        "strategy-failed",
        "rolling-back",
        "shifted",
    ]


def test_a_refused_write_gives_way_to_the_workflow_with_the_checklists_inputs(armed: Stage, relay: Relay) -> None:
    note = armed.release("login-broken")
    before = len(runs(armed))
    refuse_writes(relay)
    result = armed.roll_back(armed.plan(note.previous))
    assert (result.outcome, result.verified, result.strategy) == (DONE, True, "github_workflow"), result.reason
    (run,) = runs(armed)[: len(runs(armed)) - before]
    assert run["display_title"] == f"Roll back to {note.previous}"
    assert run["conclusion"] == "success"


def test_a_green_workflow_that_moved_nothing_is_a_failure(armed: Stage, relay: Relay) -> None:
    note = armed.release("login-broken")
    refuse_writes(relay)
    plan = armed.plan(note.previous)
    armed.put_faults("workflow-idle")
    armed.settings = with_rollback(armed.settings, workflow_within=4.0)
    result = armed.roll_back(plan)
    assert result.outcome is FAILED
    assert "ended green, but" in result.reason
    assert "gcloud could not be tried: " in result.reason
    assert f"--to-revisions={note.previous}=100" in result.next_step
    assert armed.serving == {note.current: 100}


def test_a_red_workflow_names_the_job_that_failed(armed: Stage) -> None:
    note = armed.release("login-broken")
    plan = armed.plan(note.previous)
    armed.put_faults("rollback-fails")
    armed.settings = with_rollback(armed.settings, strategies=["github_workflow"], workflow_within=4.0)
    result = armed.roll_back(plan)
    assert result.outcome is FAILED
    assert "ended: failure (deploy), but" in result.reason


def test_a_run_that_waits_beyond_its_deadline_is_cancelled(armed: Stage, relay: Relay) -> None:
    """It would move the traffic later, when something else may have been deployed."""
    note = armed.release("login-broken")
    refuse_writes(relay)
    plan = armed.plan(note.previous)
    armed.put_faults("workflow-hangs")
    armed.settings = with_rollback(armed.settings, workflow_within=1.5)
    result = armed.roll_back(plan)
    assert result.outcome is FAILED
    assert "and was cancelled" in result.reason
    armed.put_faults()
    assert runs(armed)[0]["conclusion"] == "cancelled"
    assert armed.serving == {note.current: 100}


def test_a_dispatch_whose_answer_is_lost_is_looked_up_and_not_repeated(armed: Stage, relay: Relay) -> None:
    note = armed.release("login-broken")
    refuse_writes(relay)
    github = armed.settings.github
    assert github is not None
    before = len(runs(armed))
    with relay_to(github.url) as lossy:
        lossy.loses = {"POST"}
        moved = github.model_copy(update={"url": lossy.address, "correlation_input": "correlation_id"})
        armed.settings = armed.settings.model_copy(update={"github": moved})
        result = armed.roll_back(armed.plan(note.previous))
        assert lossy.count("POST") == 1
    assert (result.outcome, result.strategy) == (DONE, "github_workflow"), result.reason
    assert len(runs(armed)) == before + 1


# When Cloud Run's API cannot be read


def test_an_api_that_is_down_keeps_no_other_way_from_being_tried(armed: Stage, relay: Relay) -> None:
    note = armed.release("login-broken")
    plan = armed.plan(note.previous)
    fall_silent(relay)
    armed.settings = with_rollback(armed.settings, verify_within=2.0)
    result = armed.roll_back(plan)
    assert (result.outcome, result.strategy) == (DONE, "github_workflow"), result.reason
    assert armed.serving == {note.previous: 100}
    assert "answers of the service itself" in next(entry for entry in armed.entries if entry.event == "seen").text(
        "source"
    )
    assert result.verified is False, "what serves was not confirmed by Cloud Run"
    assert "Cloud Run could not be asked" in result.reason


def test_what_somebody_deployed_while_the_api_was_down_is_left_alone(armed: Stage, relay: Relay) -> None:
    bad = armed.release("login-broken")
    plan = armed.plan(bad.previous)
    mended = armed.release()
    fall_silent(relay)
    before = len(runs(armed))
    result = armed.roll_back(plan)
    assert result.outcome is WITHHELD
    assert f"now it is {mended.current} 100 %" in result.reason
    assert armed.serving == {mended.current: 100}
    assert len(runs(armed)) == before


def test_where_nobody_tells_what_serves_nothing_is_moved_and_a_person_is_called(armed: Stage, relay: Relay) -> None:
    note = armed.release("login-broken")
    plan = armed.plan(note.previous)
    health = armed.settings.health.model_copy(update={"reported_revision": None})
    armed.settings = armed.settings.model_copy(update={"health": health})
    fall_silent(relay)
    before = len(runs(armed))
    result = armed.roll_back(plan)
    assert result.outcome is FAILED
    assert f"--to-revisions={note.previous}=100" in result.next_step
    assert armed.serving == {note.current: 100}
    assert len(runs(armed)) == before


# gcloud


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
def test_gcloud_is_the_last_way_and_keeps_tags(stage: Stage, relay: Relay) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    stage.variables = {**kept, **stage.sandbox.addresses.gcloud_env}
    note = stage.release("login-broken")
    tag = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": note.current, "tag": "bad"}
    everything = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}
    web.patch(
        stage.service_address, params={"updateMask": "traffic"}, json={"traffic": [everything, tag]}
    ).raise_for_status()
    assert stage.serving == {note.current: 100}, "and it has settled"
    stage.settings = with_rollback(stage.settings, shift_within=3.0, verify_within=2.0)
    plan = stage.plan(note.previous)
    fall_silent(relay)
    result = stage.roll_back(plan)
    assert (result.outcome, result.strategy) == (DONE, "gcloud"), result.reason
    assert next(entry for entry in stage.entries if entry.event == "seen").text("source") == "gcloud"
    assert stage.serving == {note.previous: 100}
    kept_tags = [line["tag"] for line in web.get(stage.service_address).json()["traffic"] if line.get("tag")]
    assert kept_tags == ["bad"]


# What a rollback that was killed has asked for


def left_waiting(stage: Stage, *, noted: bool = True) -> None:
    """A run of the workflow that waits for a runner, begun by a rollback of this journal that was killed then."""
    github = stage.settings.github
    assert github is not None
    stage.put_faults("workflow-hangs")
    requests = WorkflowRequests(stage.journal)
    requests.note_request("rollback-1")
    with closing(DeployWorkflow(github, 5, stage.variables)) as workflow:
        (previous,) = stage.serving  # it shall go back to what serves: it moves away from whatever comes then
        run = workflow.start(workflow.id(), {"rollback_revision": previous}, "rollback-1")
    assert run is not None
    if noted:
        requests.note_run("rollback-1", run.id, run.url)


def test_a_run_that_waits_already_is_followed_and_no_second_one_begun(armed: Stage, relay: Relay) -> None:
    left_waiting(armed)
    note = armed.release("login-broken")
    before = len(runs(armed))
    refuse_writes(relay)
    plan = armed.plan(note.previous)
    github = armed.settings.github
    assert github is not None
    with relay_to(github.url) as asked:
        # Not before it is asked for: on a slow machine it would have moved the traffic before the strategy's turn.
        asked.before = lambda _, path: armed.put_faults() if "/actions/runs/" in path else None
        moved = github.model_copy(update={"url": asked.address})
        armed.settings = armed.settings.model_copy(update={"github": moved})
        result = armed.roll_back(plan)
    assert (result.outcome, result.strategy) == (DONE, "github_workflow"), result.reason
    assert len(runs(armed)) == before


def test_a_run_that_nobody_needs_any_more_is_cancelled(armed: Stage) -> None:
    left_waiting(armed)
    note = armed.release("login-broken")
    result = armed.roll_back(armed.plan(note.previous))
    assert (result.outcome, result.verified, result.strategy) == (DONE, True, "cloud_run"), result.reason
    assert runs(armed)[0]["conclusion"] == "cancelled"
    assert WorkflowRequests(armed.journal).pending() == []


@pytest.mark.parametrize(("correlation", "cancelled"), [("correlation_id", True), ("", False)])
def test_a_run_that_may_be_somebody_elses_is_left_to_people(armed: Stage, correlation: str, cancelled: bool) -> None:
    """The rollback was killed before the answer to its request."""
    github = armed.settings.github
    assert github is not None
    named = github.model_copy(update={"correlation_input": correlation})
    armed.settings = armed.settings.model_copy(update={"github": named})
    left_waiting(armed, noted=False)
    note = armed.release("login-broken")
    result = armed.roll_back(armed.plan(note.previous))
    assert (result.outcome, result.verified) == (DONE, True)
    assert (runs(armed)[0]["conclusion"] == "cancelled") is cancelled
    assert ("CANCEL IT" in result.reason) is not cancelled


def test_a_run_that_cannot_be_cancelled_is_told_to_people(armed: Stage) -> None:
    left_waiting(armed)
    note = armed.release("login-broken")
    plan = armed.plan(note.previous)
    armed.put_faults("workflow-hangs", "github-down")
    result = armed.roll_back(plan)
    assert (result.outcome, result.verified) == (DONE, True), result
    assert "CANCEL IT, or it moves the traffic later" in result.reason
    assert WorkflowRequests(armed.journal).pending()
    armed.put_faults("workflow-hangs")
    armed.roll_back(plan)
    assert runs(armed)[0]["conclusion"] == "cancelled"
