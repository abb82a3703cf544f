"""`python -m rollback`, as a person runs it at the worst moment of the week."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import web
from rollback.__main__ import main
from tests.clients.relay import Relay
from tests.rollback.stage import ROOT, Stage
from verification.records.deployment_log import LogFile
from verification.records.deployments import DeploymentOutcome
from verification.records.journal import JournalView


class Shell:
    """A working folder in which `python -m rollback` finds the sandbox."""

    def __init__(self, stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self._document = folder / "sandbox.json"
        there = json.loads(web.get(stage.sandbox.addresses.operator).raise_for_status().text)
        there["cloud_run"]["rest"] = stage.cloud_run.settings.endpoint
        self._document.write_text(json.dumps(there))
        shipped = (ROOT / "deployment.toml").read_text()
        quick = shipped.replace('metrics_within = "1s"', 'metrics_within = "0s"')  # there are no users to be seen
        assert quick != shipped
        (folder / "deployment.toml").write_text(quick)
        self._places = ["--deployment", str(folder / "deployment.toml"), "--output", str(folder / "reports" / "output")]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A process of its own, as a person has it."""
        return subprocess.Popen(
            [sys.executable, "-m", "rollback", *self._places, *arguments],
            cwd=self.folder,
            env={**os.environ, **self._variables, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_process(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def run(self, *arguments: str) -> tuple[int | str | None, str, str]:
        """The same command line in this process: starting Python takes most of a second."""
        self._capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._variables.items():
                patch.setenv(name, value)
            try:
                code: int | str | None = main([*self._places, *arguments])
            except SystemExit as wrong_usage:
                code = wrong_usage.code
        return code, *self._capsys.readouterr()

    @property
    def _variables(self) -> dict[str, str]:
        return {"TMPDIR": str(self.folder), "SANDBOX": str(self._document)}


@pytest.fixture
def shell(stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(stage, tmp_path, capsys)


def test_one_step_back_goes_to_the_revision_of_the_deployment_note(stage: Stage, shell: Shell) -> None:
    note = stage.release("login-broken")
    code, out, _ = shell.run_process("-e", "sandbox", "-n", "1")
    assert code == 0
    assert stage.serving == {note.previous: 100}
    assert note.previous in out
    assert "--to-latest" in out
    [journal] = (shell.folder / "reports" / "output").glob("*-sandbox-rollback/journal.jsonl")
    events = [entry.event for entry in JournalView.read(journal).entries]
    assert events[:7] == ["begun", "armed", "seen", "rolling-back", "shifted", "verified", "settled"]
    assert events[7:] == ["call-queued"] * 3 + ["call-sent"] * 3
    assert "told #incidents" in out
    [deployment] = LogFile(shell.folder / "reports" / "output" / "deployments.jsonl").deployments()
    assert (deployment.revision, deployment.state) == (note.current, DeploymentOutcome.ROLLED_BACK)
    assert deployment.rollback is not None
    assert (deployment.rollback.by, deployment.rollback.to_revision) == ("hand", note.previous)


def test_one_step_back_run_twice_goes_back_once(stage: Stage, shell: Shell) -> None:
    stage.release()
    note = stage.release("login-broken")
    assert shell.run("-e", "sandbox", "-n", "1")[0] == 0
    code, out, _ = shell.run("-e", "sandbox", "-n", "1")
    assert code == 0
    assert "nothing was written" in out
    assert stage.serving == {note.previous: 100}
    code, out, _ = shell.run("-e", "sandbox", "-n", "2")
    assert code == 1
    assert "--to-revision" in out


def test_two_steps_back_follow_the_record(stage: Stage, shell: Shell) -> None:
    first = stage.release()
    assert shell.run("status", "-e", "sandbox")[0] == 0
    stage.release()
    assert shell.run("status", "-e", "sandbox")[0] == 0
    stage.release("login-broken")
    assert shell.run("-e", "sandbox", "-n", "2")[0] == 0
    assert stage.serving == {first.current: 100}


def test_a_named_revision_is_gone_to_even_from_split_traffic(stage: Stage, shell: Shell) -> None:
    note = stage.release()
    stage.set_traffic({note.current: 10, note.previous: 90})
    code, out, _ = shell.run("-e", "sandbox")
    assert code == 1
    assert "split" in out
    assert shell.run("-e", "sandbox", "--to-revision", note.previous)[0] == 0
    assert stage.serving == {note.previous: 100}


@pytest.mark.parametrize("name", ["nowhere", "00003"])
def test_a_revision_that_cannot_serve_is_refused(name: str, stage: Stage, shell: Shell) -> None:
    note = stage.release()
    code, out, _ = shell.run("-e", "sandbox", "--to-revision", stage.never_ready if name == "00003" else name)
    assert code == 1
    assert out.startswith(("withheld", "from"))
    assert stage.serving == {note.current: 100}


def test_a_dry_run_writes_nothing(stage: Stage, shell: Shell) -> None:
    note = stage.release()
    code, out, _ = shell.run("-e", "sandbox", "--dry-run")
    assert code == 1
    assert f"would send all traffic from {note.current} to {note.previous}" in out
    assert stage.serving == {note.current: 100}


@pytest.mark.parametrize("arguments", [("status", "-e", "sandbox"), ("-e", "sandbox", "status")])
def test_the_status_shows_what_serves_and_where_a_rollback_would_go(
    arguments: tuple[str, ...], stage: Stage, shell: Shell
) -> None:
    note = stage.release()
    code, out, _ = shell.run(*arguments)
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "100 %" in lines[note.current]
    assert note.commit[:12] in lines[note.current]
    assert "rollback target" in lines[note.previous]
    assert note.previous in lines["target"]
    assert "the sandbox's deployment note" in lines["target"]
    assert "yes" in lines["settled"]
    assert "follows new deployments" in lines["traffic"]


def test_a_status_that_cannot_be_read_is_no_status(stage: Stage, shell: Shell) -> None:
    stage.put_faults("cloud-run-down")
    code, _, error = shell.run("status", "-e", "sandbox")
    assert code == 75
    assert "unknown" in error


def test_a_rollback_that_fails_calls_for_a_person(stage: Stage, shell: Shell) -> None:
    note = stage.release("login-broken")
    stage.put_faults("rollback-fails")
    code, out, _ = shell.run_process("-e", "sandbox")
    assert code == 70
    assert f"--to-revisions={note.previous}=100" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "-e/--env"),
        (("-e", "nowhere"), "there is no environment"),
        (("-e", "sandbox", "-n", "0"), "number of steps"),
        (("-e", "sandbox", "-n", "1", "--to-revision", "x"), "not allowed with"),
        (("-e", "sandbox", "statsu"), "invalid choice"),
        (("-e", "sandbox", "--deployment", "missing.toml"), "there is no file"),
    ],
    ids=["no environment", "unknown environment", "no step", "both", "misspelt", "no file"],
)
def test_wrong_usage_is_told_from_a_withheld_rollback(arguments: tuple[str, ...], said: str, shell: Shell) -> None:
    code, _, error = shell.run(*arguments)
    assert code == 4
    assert said in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_rollback_under_way_is_finished_whatever_signal_comes(
    number: signal.Signals, stage: Stage, relay: Relay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = stage.release("login-broken")
    shell = Shell(stage, tmp_path, capsys)  # by way of the relay
    writing = threading.Event()
    held = threading.Event()

    def hold(method: str, _: str) -> None:
        if method == "PATCH":
            writing.set()
            held.wait(20)

    relay.before = hold
    with shell.start("-e", "sandbox") as process:
        assert writing.wait(30), "the write never came"
        for _ in range(2):
            process.send_signal(number)
        held.set()
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "done" in out
    assert stage.serving == {note.previous: 100}
