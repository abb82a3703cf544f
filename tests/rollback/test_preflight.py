"""What is said at the start of a run, while there is still time to mend it."""

from __future__ import annotations

import pytest

from benchmarks import web
from tests.clients.relay import Relay
from tests.rollback.stage import Stage, with_rollback
from verification.records.journal import JournalView
from verification.records.rollback_plan import RollbackPlan


def codes(plan: RollbackPlan) -> list[str]:
    return [obstacle.code for obstacle in plan.obstacles]


def test_the_noted_revision_is_the_one_to_go_back_to(stage: Stage) -> None:
    note = stage.release()
    snapshot = stage.snapshot(note.previous)
    plan = snapshot.plan
    assert (plan.revision, plan.target, snapshot.commit) == (note.current, note.previous, note.commit)
    assert plan.evidence.split("; ")[-1] == "the deploy workflow's note"
    assert plan.obstacles == ()


def test_without_a_note_the_serving_record_knows(stage: Stage) -> None:
    first = stage.release()
    stage.plan()
    second = stage.release()
    plan = stage.plan()
    assert (plan.revision, plan.target) == (second.current, first.current)
    assert plan.evidence.startswith("serving record")
    assert plan.obstacles == ()


def test_the_second_in_the_list_is_never_taken_for_the_previous_one(stage: Stage) -> None:
    stage.release()
    note = stage.release()
    plan = stage.plan()
    assert plan.target == ""
    [obstacle] = plan.obstacles
    assert obstacle.code == "target_unknown"
    assert note.previous in obstacle.text, "it is a candidate for a person"
    assert f"python -m rollback -e sandbox --to-revision {note.previous}" in obstacle.text


def test_a_change_under_way_may_have_been_judged_half_before_and_half_after(stage: Stage) -> None:
    """What failed may be the old revision: going back to it would trade the good one for the bad one."""
    old = stage.release("login-broken").current
    stage.set_traffic({old: 100})
    new = stage.release().current
    stage.set_traffic_at_once({})
    plan = stage.plan(old)
    assert plan.revision == new
    assert plan.target == ""
    assert codes(plan) == ["service_was_changing"]
    assert stage.roll_back(plan).guard == "service_was_changing"
    assert stage.serving == {new: 100}


def test_a_record_that_missed_deployments_is_too_old_to_act_on(stage: Stage) -> None:
    seen = stage.release()
    stage.plan()
    missed = [stage.release().current, stage.release().current]
    stage.release("login-broken")
    plan = stage.plan()
    assert plan.target == ""
    assert codes(plan) == ["target_unknown"]
    assert "too old" in plan.obstacles[0].text
    assert all(name in plan.obstacles[0].text for name in [seen.current, *missed])


def test_a_revision_that_was_rolled_back_is_never_gone_back_to(stage: Stage) -> None:
    good = stage.release()
    stage.plan()
    bad = stage.release("login-broken")
    stage.roll_back(stage.plan())
    stage.set_traffic({})
    mended = stage.release()
    plan = stage.plan()
    assert (plan.revision, plan.target) == (mended.current, good.current)
    assert bad.current not in plan.evidence


@pytest.mark.parametrize("number", ["00003", "serving", "nowhere"])
def test_a_wrong_note_is_an_obstacle_and_nothing_else_is_tried(number: str, stage: Stage) -> None:
    stage.plan()
    note = stage.release()
    never_ready = stage.never_ready
    given = {"00003": never_ready, "serving": note.current, "nowhere": "nowhere"}[number]
    plan = stage.plan(given)
    assert plan.target == ""
    assert codes(plan) == ["target_unknown"]
    assert given in plan.obstacles[0].text


def test_split_traffic_is_an_obstacle(stage: Stage) -> None:
    note = stage.release()
    stage.set_traffic({note.current: 10, note.previous: 90})
    plan = stage.plan(note.previous)
    assert plan.revision == ""
    assert codes(plan) == ["traffic_split"]
    assert stage.history.about(stage.cloud_run.settings).observations == ()


def test_an_old_release_and_a_manual_policy_are_obstacles(stage: Stage) -> None:
    note = stage.release()
    stage.settings = with_rollback(stage.settings, deployed_within=0.001, policy="manual")
    assert codes(stage.plan(note.previous)) == ["policy_is_manual", "release_too_old"]


def test_missing_permission_is_said_at_the_start(stage: Stage, relay: Relay) -> None:
    note = stage.release()
    relay.before = lambda _, path: (200, '{"permissions": []}') if "testIamPermissions" in path else None
    plan = stage.plan(note.previous)
    assert plan.target == note.previous
    assert codes(plan) == ["permission_missing"]


def test_cloud_run_that_is_down_is_an_obstacle_and_the_note_is_kept(stage: Stage) -> None:
    note = stage.release()
    stage.put_faults("cloud-run-down")
    snapshot = stage.snapshot(note.previous)
    plan = snapshot.plan
    assert snapshot.service is None
    assert plan.target == note.previous, "so that the command for a person names it"
    assert codes(plan) == ["serving_unknown"]


def test_cloud_run_that_keeps_silent_is_an_obstacle(stage: Stage, relay: Relay) -> None:
    stage.through(relay.address)
    relay.silent.set()
    stage.cloud_run.timeout = 0.5
    assert codes(stage.plan()) == ["serving_unknown"]


def test_what_serves_only_because_of_a_rollback_is_not_rolled_back_further(stage: Stage) -> None:
    stage.release()
    stage.plan()
    stage.release()
    stage.plan()
    stage.release("login-broken")
    assert stage.roll_back(stage.plan()).verified
    plan = stage.plan()
    assert codes(plan)[0] == "already_rolled_back"
    before = stage.serving
    assert stage.roll_back(plan).guard == "already_rolled_back"
    assert stage.serving == before


def test_what_would_be_done_is_written_down_whole(stage: Stage) -> None:
    note = stage.release()
    plan = stage.plan(note.previous)
    stage.journal.armed(stage.cloud_run.settings, plan)
    assert JournalView.read(stage.journal.path).plan == plan
    assert (plan.shares, plan.target, plan.mark_bad) == ({note.current: 100}, note.previous, (note.current,))


def test_a_change_under_way_is_waited_out(stage: Stage) -> None:
    note = stage.release()
    there = stage.sandbox.addresses
    answer = web.patch(stage.service_address, params={"updateMask": "labels"}, json={"labels": {"a": "b"}})
    assert answer.status_code == 200, there
    assert stage.plan(note.previous).revision == note.current
