"""What is done about a run that was killed: by its supervisor, or by `python -m rollback resume`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rollback.__main__ import main
from rollback.supervisor.pending import Pending, pending
from rollback.supervisor.resume import Resumed, Resumption, resume_run
from tests.rollback.stage import ROOT, Stage
from verification.records.journal import Journal, JournalView, journals
from verification.records.process import ProcessIdentity
from verification.records.rollback_plan import CONTROL_TAG, RequestedBy, RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.settings.service import CloudRunSettings

SHIPPED = ROOT / "deployment.toml"
SERVICE = CloudRunSettings(service="backend", region="us-east1", project="project")


class Killed:
    """A run of the stage's environment whose process has ended."""

    def __init__(self, stage: Stage, folder: Path, name: str = "20260101T000000Z-sandbox-smoke") -> None:
        self.stage = stage
        self.output = folder / "output"
        self.folder = self.output / name
        self.journal = Journal(self.folder / "journal.jsonl")
        self.stage.history = type(stage.history)(self.output / "serving.jsonl")

    def begun(self, *, dead: bool = True, phases: tuple[str, ...] = ("smoke",)) -> None:
        self.journal.begun(environment="sandbox", phases=phases, allowed=True, dry_run=False)
        if dead:
            text = self.journal.path.read_text(encoding="utf-8")
            self.journal.path.write_text(
                text.replace(f'"pid": {os.getpid()}', f'"pid": {ended_pid()}'), encoding="utf-8"
            )

    def armed(self, previous: str) -> None:
        self.journal.armed(self.stage.cloud_run.settings, self.stage.plan(previous))

    def end(self, deployment: Path = SHIPPED) -> Resumed:
        return resume_run(Resumption(deployment, "sandbox", self.output, "the test"), self.journal.path)

    def unfinished(self) -> None:
        """Have the files of a run that could not write its report."""
        started = '"environment": "sandbox", "phases": ["smoke"], "started": "2026-01-01T00:00:00+00:00"'
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "verdict.json").write_text(f'{{{started}, "finished": null}}', encoding="utf-8")
        (self.folder / "report.html").write_text("<h1>Unfinished</h1>", encoding="utf-8")

    def command(self, *arguments: str) -> int:
        return main([*arguments, "-e", "sandbox", "--output", str(self.output)])

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in JournalView.read(self.journal.path).entries]

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text(encoding="utf-8")


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


@pytest.fixture
def killed(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killed:
    monkeypatch.setenv("SANDBOX", stage.sandbox.addresses.operator)
    return Killed(stage, tmp_path)


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
    killed.journal.write("control-tag-set", tag=CONTROL_TAG, revision=note.previous)
    stage.cloud_run.set_tag(CONTROL_TAG, note.previous, 10)
    stage.cloud_run.set_tag("somebody-elses", note.previous, 10)
    assert killed.end().exit_code == 0
    assert [line.tag for line in stage.cloud_run.service().tags] == ["somebody-elses"]
    assert "control-tag-removed" in killed.events
    stage.cloud_run.remove_tag("somebody-elses", 10)


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


def incidents(stage: Stage) -> int:
    """How many messages #incidents has."""
    channels = httpx.get(f"{stage.sandbox.addresses.operator}/slack", headers={"Accept": "application/json"}).json()
    return sum(len(one["messages"]) for one in channels["channels"] if one["name"] == "incidents")


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
