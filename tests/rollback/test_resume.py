"""What is done about a run that was killed, by its supervisor: once, and about what serves now."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollback.supervisor.pending import Pending, pending
from tests.rollback.killed import SERVICE, SHIPPED, Killed, incidents, killed
from tests.rollback.stage import Stage
from verification.records.journal import Journal, JournalView
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult

__all__ = ["killed"]

TAG = "dv-control-abcdef"


def test_a_rollback_that_was_due_is_done_once_and_people_are_told(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    ended = killed.end()
    assert (ended.acted, ended.exit_code) == (True, 0), ended.text
    assert stage.serving == {note.previous: 100}
    assert {"people-called", "shifted", "settled"} <= set(killed.events)
    assert note.previous in killed.summary
    before = stage.generation
    assert killed.end().acted is False
    assert stage.generation == before


@pytest.mark.parametrize("trigger", ["login", ""])
def test_the_tag_of_a_killed_runs_control_goes(killed: Killed, stage: Stage, trigger: str) -> None:
    note = stage.release("login-broken") if trigger else stage.release()
    killed.begun()
    killed.armed(note.previous)
    if trigger:
        killed.journal.failed(trigger)
    killed.journal.write("control-tag-set", tag=TAG, revision=note.previous)
    stage.cloud_run.set_tag(TAG, note.previous, 10)
    stage.cloud_run.set_tag("somebody-elses", note.previous, 10)
    assert killed.end().exit_code == 0
    assert [line.tag for line in stage.cloud_run.service().tags] == ["somebody-elses"]
    assert "control-tag-removed" in killed.events
    stage.cloud_run.remove_tag("somebody-elses", 10)


@pytest.mark.parametrize("settled", [True, False])
def test_resume_also_takes_away_the_tag_of_a_run_that_owes_nothing_else(
    settled: bool, killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that could not be taken away at the end of its run, and one whose release serves no more."""
    note = stage.release()
    killed.begun()
    killed.armed(note.previous)
    killed.journal.write("control-tag-set", tag=TAG, revision=note.previous)
    if settled:
        killed.journal.settled(RollbackResult(RollbackOutcome.NOT_NEEDED))
    else:
        stage.release()
        stage.set_traffic({stage.release().current: 100})
    for tag in (TAG, "dv-control-0a1b2c"):
        stage.cloud_run.set_tag(tag, note.previous, 10)
    assert killed.command("resume") == 0
    assert f"the tag of its control is gone: {TAG}" in capsys.readouterr().out
    assert {line.tag for line in stage.cloud_run.service().tags} == {"dv-control-0a1b2c"}, "another run's stays"
    before = stage.generation
    assert killed.command("resume") == 0
    assert stage.generation == before


def test_one_that_had_moved_the_traffic_is_only_verified(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    killed.journal.write("rolling-back")
    stage.set_traffic({note.previous: 100})
    before = stage.generation
    assert killed.end().exit_code == 0
    assert stage.generation == before
    assert "verified" in killed.events


def test_one_that_had_begun_to_act_is_finished_though_the_line_that_says_why_is_lost(
    killed: Killed, stage: Stage
) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.write("rolling-back")
    assert killed.end().exit_code == 0
    assert stage.serving == {note.previous: 100}


def test_one_that_had_begun_to_act_is_never_taken_for_superseded(killed: Killed, stage: Stage) -> None:
    """What it asked the deploy workflow for may still be waiting: whoever finishes it cancels that."""
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    killed.journal.write("rolling-back")
    stage.release()
    mended = stage.release()
    assert killed.command("resume") == 1
    assert stage.serving == {mended.current: 100}
    result = JournalView.read(killed.journal.path).result
    assert result is not None
    assert (result.outcome, result.guard) == (RollbackOutcome.WITHHELD, "traffic_changed")


def test_somebody_elses_deployment_meanwhile_is_left_alone(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    mended = stage.release()
    ended = killed.end()
    assert ended.exit_code == 1, ended.text
    assert stage.serving == {mended.current: 100}
    assert "people-called" in killed.events


def test_a_failure_that_no_revision_could_mend_is_no_trigger(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.begun(environment="production", phases=("smoke",), allowed=True, dry_run=False)
    journal.armed(SERVICE, RollbackPlan({"b": 100}, "a", "seen", ("b",)))
    journal.failed("certificate", trigger=False)
    assert pending(JournalView.read(journal.path)) is Pending.SMOKE
    journal.failed("login")
    view = JournalView.read(journal.path)
    assert (pending(view), view.triggers) == (Pending.ROLLBACK, ("login",))
    journal.settled(RollbackResult(RollbackOutcome.DONE, verified=True))
    assert pending(JournalView.read(journal.path)) is Pending.NOTHING


def test_a_watch_that_was_cut_off_is_followed_by_one_smoke_run(killed: Killed, stage: Stage) -> None:
    note = stage.release()
    killed.begun()
    killed.armed(note.previous)
    ended = killed.end()
    assert ended.exit_code == 0, ended.text
    assert "nobody watches now" in killed.summary
    assert stage.serving == {note.current: 100}


def test_a_bad_release_that_smoke_finds_afterwards_is_told_of_once(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.unfinished()
    before = incidents(stage)
    ended = killed.end()
    assert stage.serving == {note.previous: 100}, ended.text
    assert incidents(stage) == before + 1
    assert {"people-called", "call-skipped"} <= set(killed.events)
    page = (killed.folder / "report.html").read_text(encoding="utf-8")
    assert f"Rolled back from {note.current} to {note.previous}" in page


def test_what_the_killed_run_knew_is_enough_where_the_smoke_run_afterwards_sees_nothing(
    killed: Killed, stage: Stage
) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    stage.put_faults("cloud-run-401")
    deployment = killed.output / "deployment.toml"
    text = SHIPPED.read_text(encoding="utf-8")
    deployment.write_text(text.replace('verify_within = "20s"', 'verify_within = "2s"'), encoding="utf-8")
    ended = killed.end(deployment)
    stage.put_faults()
    assert stage.serving == {note.previous: 100}, ended.text
    assert "could not see what serves" in ended.text
    assert "Cloud Run could not be asked" in ended.text
    assert "people-called" in killed.events


def test_a_journal_about_another_service_moves_nothing(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.journal.armed(SERVICE, RollbackPlan({note.current: 100}, note.previous, "seen", (note.current,)))
    killed.journal.failed("login")
    before = stage.generation
    ended = killed.end()
    assert ended.exit_code == 70
    assert stage.generation == before
    assert "people-called" in killed.events
    assert note.previous in killed.summary


def test_a_sandbox_of_the_runs_own_is_not_started_anew(killed: Killed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX")
    killed.begun()
    killed.journal.failed("login")
    ended = killed.end()
    assert "ended with it" in ended.text
    assert "ended with it" in killed.summary
