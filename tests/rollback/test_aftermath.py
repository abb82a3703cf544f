"""What is done about a run that was killed: by its supervisor, or by `python -m rollback resume`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rollback.__main__ import main
from rollback.preflight import arm
from rollback.supervisor.pending import Due, Left
from rollback.supervisor.resume import Ended, Place, bring_to_an_end
from tests.rollback.stage import ROOT, Stage
from verification.records.journal import Journal, read
from verification.records.process import Process, this_process
from verification.settings.service import CloudRunSettings

SHIPPED = ROOT / "deployment.toml"
SERVICE = CloudRunSettings(service="backend", region="us-east1", project="project")


class Killed:
    """A run of the stage's environment whose process has ended."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.output = folder / "output"
        self.folder = self.output / "20260101T000000Z-sandbox-smoke"
        self.journal = Journal(self.folder / "journal.jsonl")
        self.stage.history = type(stage.history)(self.output / "serving.jsonl")

    def begun(self, *, dead: bool = True) -> None:
        self.journal.begun(environment="sandbox", phases=("smoke",), allowed=True, dry_run=False)
        if dead:
            text = self.journal.path.read_text(encoding="utf-8")
            self.journal.path.write_text(
                text.replace(f'"pid": {os.getpid()}', f'"pid": {ended_pid()}'), encoding="utf-8"
            )

    def armed(self, previous: str) -> None:
        arm(self.journal, self.stage.survey(previous), self.stage.settings, self.stage.cloud_run)

    def end(self, deployment: Path = SHIPPED) -> Ended:
        return bring_to_an_end(Place(deployment, "sandbox", self.output, self.journal.path), "the test")

    def command(self, *arguments: str) -> int:
        return main([*arguments, "-e", "sandbox", "--output", str(self.output)])

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in read(self.journal.path)]

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
    assert (ended.acted, ended.exit_code) == (True, 0), ended.said
    assert stage.serving == {note.previous: 100}
    assert {"people-called", "shifted", "settled"} <= set(killed.events)
    assert note.previous in killed.summary
    before = stage.generation
    assert killed.end().acted is False
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


def test_somebody_elses_deployment_meanwhile_is_left_alone(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    killed.journal.failed("login")
    mended = stage.release()
    ended = killed.end()
    assert ended.exit_code == 1, ended.said
    assert stage.serving == {mended.current: 100}
    assert "people-called" in killed.events


def test_a_failure_that_no_revision_could_mend_is_no_trigger(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.begun(environment="production", phases=("smoke",), allowed=True, dry_run=False)
    journal.armed(SERVICE, environment="production", policy="automatic", revision="b", previous="a", evidence="seen")
    journal.failed("certificate", trigger=False)
    assert Left.of(journal.path).due is Due.LOOK
    journal.failed("login")
    assert (Left.of(journal.path).due, Left.of(journal.path).triggers) == (Due.ROLLBACK, ("login",))
    journal.write("settled", outcome="done")
    assert Left.of(journal.path).due is Due.NOTHING


def test_a_watch_that_was_cut_off_is_followed_by_one_smoke_run(killed: Killed, stage: Stage) -> None:
    note = stage.release()
    killed.begun()
    killed.armed(note.previous)
    ended = killed.end()
    assert ended.exit_code == 0, ended.said
    assert "nobody watches now" in killed.summary
    assert stage.serving == {note.current: 100}


def test_a_bad_release_that_smoke_finds_afterwards_is_told_of_once(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.armed(note.previous)
    for name, text in (("verdict.json", '{"finished": null}'), ("report.html", "<h1>Unfinished</h1>")):
        (killed.folder / name).write_text(text, encoding="utf-8")
    before = incidents(stage)
    ended = killed.end()
    assert stage.serving == {note.previous: 100}, ended.said
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
    assert stage.serving == {note.previous: 100}, ended.said
    assert "could not see what serves" in ended.said
    assert "Cloud Run could not be asked" in ended.said
    assert "people-called" in killed.events


def incidents(stage: Stage) -> int:
    """How many messages #incidents has."""
    channels = httpx.get(f"{stage.sandbox.addresses.operator}/slack", headers={"Accept": "application/json"}).json()
    return sum(len(one["messages"]) for one in channels["channels"] if one["name"] == "incidents")


def test_a_journal_about_another_service_moves_nothing(killed: Killed, stage: Stage) -> None:
    note = stage.release("login-broken")
    killed.begun()
    killed.journal.armed(
        SERVICE,
        environment="sandbox",
        policy="automatic",
        revision=note.current,
        previous=note.previous,
        evidence="seen",
    )
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
    assert "ended with it" in ended.said
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
    killed.journal.write("settled", outcome="not needed")
    (killed.output / "20260102T000000Z-sandbox-smoke").mkdir()
    assert killed.command("resume") == 75
    assert "left no journal" in capsys.readouterr().out


def test_a_number_that_was_given_out_anew_is_another_process() -> None:
    mine = this_process()
    assert mine.lives
    assert not Process(mine.host, mine.pid, "1").lives
    assert not Process("elsewhere", mine.pid, mine.started).lives
    assert not Process(mine.host, ended_pid(), "").lives
