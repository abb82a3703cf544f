"""When production is rolled back, when it is left alone, and what is said in either case."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import FileLock

from rollback.executor import control_of, execute, longest_rollback, longest_step
from rollback.locks import lock_file
from rollback.serving_history import ServingHistory
from tests.clients.relay import Relay
from tests.rollback.stage import Stage, with_rollback
from verification.deadline import Stopwatch
from verification.records.journal import Journal
from verification.records.run_record import RollbackOutcome

DONE, WITHHELD, FAILED = RollbackOutcome.DONE, RollbackOutcome.WITHHELD, RollbackOutcome.FAILED


def test_a_bad_release_is_undone_and_proven_undone(stage: Stage) -> None:
    note = stage.release("login-broken")
    result = stage.roll_back(stage.plan(note.previous))
    assert stage.serving == {note.previous: 100}
    assert (result.outcome, result.verified, result.strategy) == (DONE, True, "cloud_run")
    assert (result.from_revision, result.to_revision, result.triggers) == (note.current, note.previous, ("login",))
    assert result.seconds is not None
    assert {(check.name, check.value) for check in result.checks} >= {
        ("status", 200),
        ("status", "healthy"),
        ("revision", note.previous),
        (f"traffic of {note.previous}", 100),
    }
    assert all(check.limit is not None for check in result.checks)


def test_the_report_says_that_the_traffic_is_pinned_now(stage: Stage) -> None:
    note = stage.release("login-broken")
    result = stage.roll_back(stage.plan(note.previous))
    assert "a new deployment gets none of it" in result.reason
    assert "gcloud run services update-traffic bayit-plus-backend" in result.next_step
    assert "--to-latest" in result.next_step


def test_each_step_is_in_the_journal_before_it_is_taken(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    seen: list[list[str]] = []
    relay.before = lambda method, _: seen.append(stage.events) if method == "PATCH" else None
    stage.roll_back(stage.plan(note.previous))
    assert seen == [["failed", "seen", "rolling-back"]]
    assert stage.events == ["failed", "seen", "rolling-back", "shifted", "verified", "settled"]
    assert stage.entries[1].text("traffic") == f"{note.current} 100 %"
    rolling = stage.entries[2]
    assert (rolling.text("from_revision"), rolling.text("to_revision")) == (note.current, note.previous)


def test_twice_is_the_same_as_once(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    stage.roll_back(plan)
    written, remembered = stage.generation, len(stage.history.about(stage.cloud_run.settings).observations)
    again = stage.roll_back(plan)
    assert (again.outcome, again.verified, again.guard) == (DONE, True, "target_serves_already")
    assert "nothing was written" in again.reason
    assert stage.generation == written
    assert len(stage.history.about(stage.cloud_run.settings).observations) == remembered
    assert stage.serving == {note.previous: 100}


def test_the_serving_record_remembers_what_was_taken_out(stage: Stage) -> None:
    note = stage.release("login-broken")
    stage.roll_back(stage.plan(note.previous))
    past = stage.history.about(stage.cloud_run.settings)
    assert past.is_marked_bad(note.current)
    assert past.last is not None
    assert (past.last.revision, past.last.kind) == (note.previous, "serving")


# Guards: production stays as it is


def assert_left_alone(stage: Stage, before: dict[str, int], written: int) -> None:
    assert stage.serving == before
    assert stage.generation == written
    assert "rolling-back" not in stage.events
    assert stage.events[-1] == "settled"


def test_a_manual_policy_leaves_it_to_a_person(stage: Stage) -> None:
    note = stage.release("login-broken")
    stage.settings = with_rollback(stage.settings, policy="manual")
    before, written = stage.serving, stage.generation
    result = stage.roll_back(stage.plan(note.previous))
    assert result.guard == "policy_is_manual"
    assert f"python -m rollback -e sandbox --to-revision {note.previous}" in result.next_step
    assert_left_alone(stage, before, written)


def test_a_dry_run_says_what_it_would_do(stage: Stage) -> None:
    note = stage.release("login-broken")
    before, written = stage.serving, stage.generation
    result = stage.roll_back(stage.plan(note.previous), dry_run=True)
    assert result.guard == "dry_run"
    assert f"would send all traffic from {note.current} to {note.previous}" in result.reason
    assert_left_alone(stage, before, written)
    assert not stage.history.about(stage.cloud_run.settings).is_marked_bad(note.current)


def test_a_release_that_came_meanwhile_is_not_rolled_back_for_the_sins_of_the_last_one(stage: Stage) -> None:
    bad = stage.release("login-broken")
    plan = stage.plan(bad.previous)
    mended = stage.release()
    before, written = stage.serving, stage.generation
    result = stage.roll_back(plan)
    assert (result.outcome, result.guard) == (WITHHELD, "traffic_changed")
    assert before == {mended.current: 100}
    assert_left_alone(stage, before, written)


@pytest.mark.parametrize("name", ["00003", "nowhere"])
def test_a_target_that_cannot_serve_any_more_is_not_gone_back_to(name: str, stage: Stage) -> None:
    note = stage.release("login-broken")
    never_ready = stage.never_ready
    plan = replace(stage.plan(note.previous), target=never_ready if name == "00003" else name)
    before, written = stage.serving, stage.generation
    result = stage.roll_back(plan)
    assert (result.outcome, result.guard) == (WITHHELD, "target_not_ready")
    assert_left_alone(stage, before, written)


def test_one_rollback_at_a_time(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    before, written = stage.serving, stage.generation
    with FileLock(lock_file(stage.cloud_run.settings), timeout=0):
        result = stage.roll_back(plan)
    assert result.outcome is WITHHELD
    assert result.guard == "another_rollback"
    assert_left_alone(stage, before, written)
    assert stage.roll_back(plan).outcome is DONE, "and the lock is free again"
    assert not lock_file(stage.cloud_run.settings).exists()


def test_a_lock_that_cannot_be_had_for_lack_of_a_place_stops_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = stage.release("login-broken")
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    assert stage.roll_back(stage.plan(note.previous)).outcome is DONE


def test_a_machine_without_a_temporary_folder_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose file system is read-only, or on a disk that is full."""
    note = stage.release("login-broken")

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert stage.roll_back(stage.plan(note.previous)).outcome is DONE


def test_a_user_without_a_name_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number of its own (`docker run --user 12345`)."""
    note = stage.release("login-broken")

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("rollback.locks.getuser", nobody)
    assert stage.roll_back(stage.plan(note.previous)).outcome is DONE


# Trouble on the way: a bad release is undone all the same


def test_somebody_elses_harmless_change_in_between_is_no_obstacle(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    stage.put_faults("rollback-conflict")
    assert stage.roll_back(plan).verified
    assert stage.serving == {note.previous: 100}


def test_somebody_elses_change_of_traffic_in_between_is_respected(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)

    def somebody(method: str, _: str) -> None:
        if method == "PATCH":
            stage.set_traffic({note.current: 40, note.previous: 60})

    relay.before = somebody
    result = stage.roll_back(plan)
    assert result.outcome is WITHHELD
    assert stage.serving == {note.current: 40, note.previous: 60}


def test_a_write_whose_answer_is_lost_is_looked_up_and_not_repeated(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    relay.loses = {"PATCH"}
    assert stage.roll_back(stage.plan(note.previous)).verified
    assert relay.count("PATCH") == 1
    assert stage.serving == {note.previous: 100}


def test_a_write_that_never_arrived_is_made_again(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    relay.before = lambda method, _: (503, "busy") if method == "PATCH" and relay.count("PATCH") == 1 else None
    assert stage.roll_back(stage.plan(note.previous)).verified
    assert relay.count("PATCH") == 2
    assert stage.serving == {note.previous: 100}


def test_an_operation_that_cannot_be_followed_is_judged_by_what_serves(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    relay.before = lambda _, path: (403, "no") if "/operations/" in path else None
    assert stage.roll_back(stage.plan(note.previous)).verified
    assert relay.count("PATCH") == 1


def test_an_operation_that_fails_once_is_tried_again(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    stage.put_faults("rollback-fails")

    def mended(method: str, _: str) -> None:
        if method == "PATCH" and relay.count("PATCH") == 2:
            stage.put_faults()

    relay.before = mended
    assert stage.roll_back(plan).verified
    assert stage.serving == {note.previous: 100}


def test_success_without_moved_traffic_is_a_failure(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    finished = '{"name": "projects/p/locations/r/operations/o", "done": true, "response": '
    finished += '{"@type": "type.googleapis.com/google.cloud.run.v2.Service"}}'
    relay.before = lambda method, _: (200, finished) if method == "PATCH" else None
    result = stage.roll_back(stage.plan(note.previous))
    assert result.outcome is FAILED
    assert "reported success" in result.reason
    assert "shifted" not in stage.events


def test_a_rollback_that_does_not_get_through_calls_for_a_person_with_the_exact_command(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    stage.put_faults("rollback-fails")
    result = stage.roll_back(plan)
    assert result.outcome is FAILED
    assert (
        "gcloud run services update-traffic bayit-plus-backend --project sandbox-project --region us-east1 "
        f"--to-revisions={note.previous}=100" in result.next_step
    )
    assert stage.serving == {note.current: 100}
    assert stage.events[-1] == "settled"


def test_missing_permission_is_a_failed_rollback_and_names_the_role(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    relay.before = lambda method, _: (403, "no") if method == "PATCH" else None
    result = stage.roll_back(stage.plan(note.previous))
    assert result.outcome is FAILED
    assert "roles/run.developer" in result.next_step
    assert f"--to-revisions={note.previous}=100" in result.next_step
    assert relay.count("PATCH") == 1


@pytest.mark.parametrize("known_before", [True, False])
def test_cloud_run_that_is_down_when_a_rollback_is_due_calls_for_a_person(known_before: bool, stage: Stage) -> None:
    note = stage.release("login-broken")
    stage.settings = with_rollback(stage.settings, shift_within=4.0)
    stage.put_faults(*([] if known_before else ["cloud-run-down"]))
    plan = stage.plan(note.previous)
    stage.put_faults("cloud-run-down")
    result = stage.roll_back(plan)
    assert result.outcome is FAILED
    assert f"--to-revisions={note.previous}=100" in result.next_step


def test_cloud_run_that_is_down_for_a_moment_only_is_waited_for(stage: Stage, relay: Relay) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    asked = len(relay.asked)
    relay.before = lambda *_: (503, "down") if len(relay.asked) < asked + 5 else None
    assert stage.roll_back(plan).verified


class SlowQuestions:
    """Questions that nobody answers as long as there is time for it."""

    def ask(self, criterion: str, address: str, within: float) -> None:
        threading.Event().wait(within if address else 0)


def test_a_control_that_takes_all_its_time_leaves_the_shift_its_own(stage: Stage) -> None:
    stage.settings = settings = with_rollback(stage.settings, control_within=5.0, shift_within=5.0)
    note = stage.release("login-broken")
    plan, context, stopwatch = stage.plan(note.previous), stage.context(), Stopwatch.start()
    control = control_of(plan, context, SlowQuestions())
    result = execute(plan, context, ("login",), control)
    assert (result.outcome, result.strategy) == (DONE, "cloud_run"), result.reason
    assert stage.serving == {note.previous: 100}
    times = {entry.event: entry.at for entry in stage.entries}
    assert (times["control"] - times["seen"]).total_seconds() > 4, "else the control was not slow"
    steps = [later.at - earlier.at for earlier, later in pairwise(stage.entries)]
    assert max(steps).total_seconds() < longest_step(settings), "for so long the supervisor is patient"
    assert stopwatch.seconds < longest_rollback(settings)


def test_what_served_at_the_start_being_unknown_holds_the_rollback_back(stage: Stage) -> None:
    note = stage.release("login-broken")
    stage.put_faults("cloud-run-down")
    plan = stage.plan(note.previous)
    stage.put_faults()
    result = stage.roll_back(plan)
    assert result.guard == "serving_unknown"
    assert note.previous in result.next_step
    assert stage.serving == {note.current: 100}


def test_a_full_disk_does_not_stop_a_rollback(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    stage.journal = Journal(Path("/dev/full"))
    stage.history = ServingHistory(Path("/dev/full"))
    result = stage.roll_back(plan)
    assert (result.outcome, result.verified) == (DONE, True)
    assert "journal" in result.reason
    assert "serving record" in result.reason


def test_a_previous_revision_that_is_bad_as_well_is_done_but_not_verified(stage: Stage) -> None:
    stage.release("unhealthy")
    note = stage.release("login-broken")
    stage.settings = with_rollback(stage.settings, verify_within=1.5)
    result = stage.roll_back(stage.plan(note.previous))
    assert (result.outcome, result.verified) == (DONE, False)
    assert "NOT VERIFIED" in result.reason
    assert "503" in result.reason
    assert "A person is needed now" in result.next_step
    assert stage.serving == {note.previous: 100}


def test_a_slow_start_of_the_previous_revision_is_waited_for(stage: Stage) -> None:
    stage.release("slow-start")
    note = stage.release("login-broken")
    assert stage.roll_back(stage.plan(note.previous)).verified


def test_a_rollback_works_outside_the_main_thread(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.plan(note.previous)
    outcomes: list[RollbackOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(stage.roll_back(plan).outcome))
    thread.start()
    thread.join(30)
    assert outcomes == [DONE]
