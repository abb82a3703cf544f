"""What is said at the start of a run, while there is still time to mend it."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from rollback.preflight import arm, too_old
from tests.clients.relay import Relay
from tests.rollback.stage import Stage, with_rollback
from verification.verdict import now


def test_the_noted_revision_is_the_one_to_go_back_to(stage: Stage) -> None:
    note = stage.release()
    known = stage.survey(note.previous)
    assert (known.revision, known.previous, known.commit) == (note.current, note.previous, note.commit)
    assert known.evidence == "the deploy workflow's note"
    assert known.obstacles == ()


def test_without_a_note_the_serving_record_knows(stage: Stage) -> None:
    first = stage.release()
    stage.survey()
    second = stage.release()
    known = stage.survey()
    assert (known.revision, known.previous) == (second.current, first.current)
    assert known.evidence.startswith("serving record")
    assert known.obstacles == ()


def test_the_second_in_the_list_is_never_taken_for_the_previous_one(stage: Stage) -> None:
    stage.release()
    note = stage.release()
    known = stage.survey()
    assert known.previous == ""
    [obstacle] = known.obstacles
    assert "not known" in obstacle
    assert note.previous in obstacle, "it is a candidate for a person"
    assert "python -m rollback -e sandbox --to-revision NAME" in obstacle


def test_a_change_under_way_may_have_been_judged_half_before_and_half_after(stage: Stage) -> None:
    """What failed may be the old revision: going back to it would trade the good one for the bad one."""
    old = stage.release("login-broken").current
    stage.set_traffic({old: 100})
    new = stage.release().current
    stage.set_traffic_at_once({})
    known = stage.survey(old)
    assert known.revision == new
    assert known.previous == ""
    assert "being changed while its questions were asked" in known.obstacles[0]
    assert stage.roll_back(known).outcome == "withheld"
    assert stage.serving == {new: 100}


def test_a_record_that_missed_deployments_is_too_old_to_act_on(stage: Stage) -> None:
    seen = stage.release()
    stage.survey()
    missed = [stage.release().current, stage.release().current]
    stage.release("login-broken")
    known = stage.survey()
    assert known.previous == ""
    assert "too old" in known.obstacles[0]
    assert all(name in known.obstacles[0] for name in [seen.current, *missed])


def test_a_revision_that_was_rolled_back_is_never_gone_back_to(stage: Stage) -> None:
    good = stage.release()
    stage.survey()
    bad = stage.release("login-broken")
    stage.roll_back(stage.survey())
    stage.set_traffic({})
    mended = stage.release()
    known = stage.survey()
    assert (known.revision, known.previous) == (mended.current, good.current)
    assert bad.current not in known.obstacles


@pytest.mark.parametrize("number", ["00003", "serving", "nowhere"])
def test_a_wrong_note_is_an_obstacle_and_nothing_else_is_tried(number: str, stage: Stage) -> None:
    stage.survey()
    note = stage.release()
    never_ready = stage.never_ready
    given = {"00003": never_ready, "serving": note.current, "nowhere": "nowhere"}[number]
    known = stage.survey(given)
    assert known.previous == ""
    assert given in known.obstacles[0]


def test_split_traffic_is_an_obstacle(stage: Stage) -> None:
    note = stage.release()
    stage.set_traffic({note.current: 10, note.previous: 90})
    known = stage.survey(note.previous)
    assert known.revision == ""
    assert "split" in known.obstacles[0]
    assert stage.history.of(stage.cloud_run.settings).observations == ()


def test_an_old_release_and_a_manual_policy_are_obstacles(stage: Stage) -> None:
    note = stage.release()
    stage.settings = with_rollback(stage.settings, deployed_within=0.001, policy="manual")
    manual, old = stage.survey(note.previous).obstacles
    assert "a person decides" in manual
    assert "deployed_within" in old


def test_missing_permission_is_said_at_the_start(stage: Stage, relay: Relay) -> None:
    note = stage.release()
    relay.before = lambda _, path: (200, '{"permissions": []}') if "testIamPermissions" in path else None
    known = stage.survey(note.previous)
    assert known.previous == note.previous
    assert "run.services.update" in known.obstacles[0]


def test_cloud_run_that_is_down_is_an_obstacle_and_the_note_is_kept(stage: Stage) -> None:
    note = stage.release()
    stage.put_faults("cloud-run-down")
    known = stage.survey(note.previous)
    assert known.serving is None
    assert known.previous == note.previous, "so that the command for a person names it"
    assert "unknown" in known.obstacles[0]


def test_cloud_run_that_keeps_silent_is_an_obstacle(stage: Stage, relay: Relay) -> None:
    stage.through(relay.address)
    relay.silent.set()
    stage.cloud_run.timeout = 0.5
    assert "unknown" in stage.survey().obstacles[0]


def test_what_serves_only_because_of_a_rollback_is_not_rolled_back_further(stage: Stage) -> None:
    stage.release()
    stage.survey()
    stage.release()
    stage.survey()
    stage.release("login-broken")
    assert stage.roll_back(stage.survey()).verified
    known = stage.survey()
    assert "was rolled back" in known.obstacles[-1]
    before = stage.serving
    assert stage.roll_back(known).outcome == "withheld"
    assert stage.serving == before


def test_what_would_be_done_is_written_down_before_anything_is_judged(stage: Stage) -> None:
    note = stage.release()
    arm(stage.journal, stage.survey(note.previous), stage.settings, stage.cloud_run)
    [armed] = stage.entries
    assert armed.event == "armed"
    assert armed.text("revision") == note.current
    assert armed.text("previous_revision") == note.previous
    assert armed.text("policy") == "automatic"
    assert (now() - armed.at).total_seconds() >= 0


def test_a_change_under_way_is_waited_out(stage: Stage) -> None:
    note = stage.release()
    there = stage.sandbox.addresses
    answer = httpx.patch(stage.service_address, params={"updateMask": "labels"}, json={"labels": {"a": "b"}})
    assert answer.status_code == 200, there
    assert stage.survey(note.previous).revision == note.current


@pytest.mark.parametrize(
    ("age", "word"),
    [(-86_400, "clock"), (-60, ""), (60, ""), (7200 + 60, "deployed_within")],
    ids=["tomorrow", "clocks-differ-a-little", "new", "old"],
)
def test_only_what_was_deployed_recently_by_a_clock_that_is_right_is_rolled_back(
    stage: Stage, age: float, word: str
) -> None:
    """A clock that is a month behind would make every revision a new one."""
    said = too_old(now() - timedelta(seconds=age), with_rollback(stage.settings, deployed_within=7200))
    assert (word in said) if word else (said == "")
