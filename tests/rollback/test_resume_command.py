"""What `python -m rollback status` and `resume` make of runs that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rollback.killed import SHIPPED, Killed, ended_pid, incidents, killed
from tests.rollback.stage import Stage
from verification.records.journal import Journal, JournalView, journals
from verification.records.process import ProcessIdentity
from verification.records.rollback_plan import RequestedBy, RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult

__all__ = ["killed"]


def test_status_and_resume_tell_what_is_due(killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    assert killed.command("status") == 0
    said = capsys.readouterr().out
    assert "is not settled; due: the rollback (triggered by login)" in said
    assert "python -m rollback resume -e sandbox" in said
    assert killed.command("resume") == 0
    told, also = capsys.readouterr()
    assert (told.count(f"Rolled back from {note.current} to {note.previous}"), also) == (1, "")
    assert stage.serving == {note.previous: 100}
    assert killed.command("resume") == 0
    assert "nothing is due" in capsys.readouterr().out
    assert killed.command("status") == 0
    assert "not settled" not in capsys.readouterr().out


def test_resume_leaves_a_run_alone_whose_process_runs(
    killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    killed.begun(dead=False)
    killed.journal.failed("login")
    assert killed.command("resume") == 1
    assert "is running" in capsys.readouterr().out
    assert "resumed" not in killed.events


def test_resume_does_not_take_an_older_run_for_the_newest(
    killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    killed.begun()
    killed.journal.settled(RollbackResult(RollbackOutcome.NOT_NEEDED))
    silent = Killed(stage, killed.output.parent, "20260102T000000Z-sandbox-smoke")
    silent.unfinished()
    verdict = silent.folder / "verdict.json"
    verdict.write_text(verdict.read_text(encoding="utf-8").replace("2026-01-01", "2099-01-01"), encoding="utf-8")
    assert killed.command("resume") == 75
    assert "left no journal" in capsys.readouterr().out


def test_a_number_that_was_given_out_anew_is_another_process() -> None:
    mine = ProcessIdentity.current()
    assert mine.is_running
    assert not ProcessIdentity(mine.host, mine.pid, 1.0).is_running
    assert not ProcessIdentity("elsewhere", mine.pid, mine.started).is_running
    assert not ProcessIdentity(mine.host, ended_pid(), 0.0).is_running


# What the journal stores is what is carried out


def test_a_rollback_by_hand_from_split_traffic_is_finished_as_it_was_planned(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    stage.set_traffic({note.current: 50, note.previous: 50})
    killed.begun(phases=())
    shares = {note.current: 50, note.previous: 50}
    plan = RollbackPlan(shares, note.previous, "named by hand", (note.current,), RequestedBy.PERSON)
    killed.journal.armed(stage.cloud_run.settings, plan)
    killed.journal.write("rolling-back")
    assert killed.command("resume") == 0
    assert stage.serving == {note.previous: 100}


def test_a_killed_move_forward_does_not_mark_the_older_revision_as_bad(killed: Killed, stage: Stage) -> None:
    note = stage.release()
    stage.set_traffic({note.previous: 100})
    killed.begun(phases=())
    plan = RollbackPlan({note.previous: 100}, note.current, "named by hand", (), RequestedBy.PERSON)
    killed.journal.armed(stage.cloud_run.settings, plan)
    killed.journal.write("rolling-back")
    assert killed.command("resume") == 0
    assert stage.serving == {note.current: 100}
    assert not stage.history.about(stage.cloud_run.settings).is_marked_bad(note.previous)


# Which runs are found


def test_the_environment_stands_in_the_journal_and_not_in_the_folders_name(tmp_path: Path) -> None:
    for number, (folder, environment) in enumerate(
        [
            ("20260101T000000Z-production-eu-smoke", "production-eu"),
            ("20260102T000000Z-production-pre+followup", "production"),
            ("renamed", "production"),
        ]
    ):
        journal = Journal(tmp_path / folder / "journal.jsonl")
        journal.begun(environment=environment, phases=("smoke",), allowed=True, dry_run=False, token=str(number))
    assert [view.identity.token for view in journals(tmp_path, "production")] == ["2", "1"]
    assert [view.identity.token for view in journals(tmp_path, "production-eu")] == ["0"]


def test_an_unfinished_rollback_is_found_behind_newer_runs(
    killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    newer = Killed(stage, killed.output.parent, "20260102T000000Z-sandbox-smoke")
    newer.begun()
    newer.journal.settled(RollbackResult(RollbackOutcome.NOT_NEEDED), verdict="inconclusive")
    Killed(stage, killed.output.parent, "20260103T000000Z-sandbox-smoke").folder.mkdir()  # a usage error
    assert killed.command("status") == 0
    assert f"{killed.folder.name} is not settled; due: the rollback" in capsys.readouterr().out
    assert killed.command("resume") == 0
    assert stage.serving == {note.previous: 100}


def test_what_a_later_run_found_good_is_not_rolled_back_for_an_old_failure(killed: Killed, stage: Stage) -> None:
    note = stage.release()
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    later = Killed(stage, killed.output.parent, "20260102T000000Z-sandbox-smoke")
    later.begun()
    later.armed(note.previous)
    later.journal.settled(RollbackResult(RollbackOutcome.NOT_NEEDED), verdict="pass")
    assert killed.command("resume") == 0
    assert stage.serving == {note.current: 100}
    assert killed.events[-1] == "settled"


def test_what_does_not_serve_any_more_is_settled_without_a_move(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    stage.release()
    mended = stage.release()
    assert killed.command("resume") == 0
    assert stage.serving == {mended.current: 100}
    result = JournalView.read(killed.journal.path).result
    assert result is not None
    assert result.outcome is RollbackOutcome.NOT_NEEDED


def test_a_smoke_run_with_a_path_of_its_own_is_told_from_an_old_run_of_the_same_process_number(
    killed: Killed, stage: Stage, tmp_path: Path
) -> None:
    """The files lie elsewhere: pytest must not take them for tests, or for the place of another rootdir."""
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    deployment = tmp_path / "elsewhere" / "deployment.toml"
    deployment.parent.mkdir()
    deployment.write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    ended = killed.end(deployment)
    assert stage.serving == {note.previous: 100}, ended.text
    smoke, _ = journals(killed.output, "sandbox")
    assert smoke.identity.token
    assert smoke.triggers


# What is believed


@pytest.mark.parametrize(
    ("outcome", "verified", "code"),
    [
        (RollbackOutcome.DONE, True, 0),
        (RollbackOutcome.DONE, False, 70),
        (RollbackOutcome.FAILED, None, 70),
        (RollbackOutcome.WITHHELD, None, 1),
        (RollbackOutcome.NOT_NEEDED, None, 0),
    ],
)
def test_a_settled_run_ends_as_its_outcome_says(
    outcome: RollbackOutcome, verified: bool | None, code: int, killed: Killed
) -> None:
    killed.begun()
    killed.journal.settled(RollbackResult(outcome, verified=verified))
    assert killed.command("resume") == code


@pytest.mark.parametrize("told", [True, False])
def test_after_a_verified_rollback_nobody_is_told_twice_or_otherwise(
    told: bool, killed: Killed, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after its last step, before its report."""
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    done = RollbackResult(RollbackOutcome.DONE, verified=True, from_revision=note.current, to_revision=note.previous)
    killed.journal.settled(done)
    if told:
        killed.journal.write("call-queued", call="x", channel="slack", title="rolled back", text="rolled back")
        killed.journal.write("call-sent", call="x", channel="slack", link="x")
    killed.unfinished()
    before = incidents(stage)
    assert killed.end().exit_code == 0
    assert incidents(stage) == before
    assert ("people-called" in killed.events) is not told
    assert "NOT verified" not in capsys.readouterr().err
