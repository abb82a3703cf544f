"""Output that nobody takes: production moves as it would, in the usual time, and the run's files are as ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.runs.conftest import WITHIN, Runner, World, until
from tests.runs.stalled import Place, full_disk, full_pipe, reader_that_has_gone, stopped_terminal
from verification.records.journal import JournalEntry, JournalView

BAD = ("-m", "smoke", "--env", "sandbox", "--fault", "login-broken")


@pytest.fixture
def usual(run: Runner, world: World) -> float:
    """How long such a run takes on this machine just now, somebody reading what it says."""
    begun = time.monotonic()
    assert run(*BAD, variables=world.variables).code == 1
    world.put_right()
    return time.monotonic() - begun


@pytest.mark.parametrize("place", [full_pipe, stopped_terminal])
def test_a_place_that_takes_nothing_holds_up_no_rollback(run: Runner, world: World, usual: float, place: Place) -> None:
    with place() as stalled:
        begun = time.monotonic()
        ran = run.end(run.start(*BAD, variables=world.variables, out=stalled, err=stalled))
        took = time.monotonic() - begun
    assert ran.code == 1
    assert world.answering() == {world.note()["previous"]}
    assert (ran.verdict.exit_code, ran.verdict.rollback.outcome, ran.verdict.rollback.verified) == (1, "done", True)
    assert "NO-GO: Rolled back to" in (ran.folder / "summary.md").read_text(encoding="utf-8")
    assert "</html>" in ran.report
    assert {"begun", "armed", "failed", "shifted", "settled"} <= {entry.event for entry in ran.journal}
    assert took < 2 * usual + 5


LOUD = """
    import time

    @pytest.mark.smoke
    def test_that_hangs(login, refused_login):  # so that it comes after the criterion that asks for these
        print("before it hung " * 20_000)
        time.sleep(600)
"""


@pytest.mark.parametrize("place", [full_pipe, stopped_terminal])
def test_a_run_that_is_interrupted_ends_although_nobody_reads_what_its_criterion_had_printed(
    run: Runner,
    world: World,
    production: Callable[..., Path],
    criteria: Callable[[str], str],
    account: dict[str, str],
    place: Place,
) -> None:
    note = world.release("login-broken")
    file = production(more=criteria(LOUD))
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    arguments = ("-m", "smoke", "--env", "production", f"--deployment={file}")
    with place() as stalled:
        process = run.start(*arguments, variables=variables, out=stalled, err=stalled)
        until(lambda: any(entry.event == "failed" for entry in journal(run)), "a failure that calls for a rollback")
        process.send_signal(signal.SIGINT)
        ran = run.end(process)
    assert (ran.code, ran.verdict.rollback.outcome) == (1, "done")
    assert world.answering() == {note["previous"]}


@pytest.mark.parametrize("place", [full_pipe, full_disk, reader_that_has_gone])
def test_a_verdict_that_standard_output_does_not_take_is_said_on_standard_error(
    run: Runner, world: World, place: Place
) -> None:
    """It goes on unheard: writing the very letter F would break pytest, or stop it."""
    with place() as stalled:
        ran = run.end(run.start(*BAD, variables=world.variables, out=stalled, err=subprocess.PIPE))
    assert (ran.code, ran.verdict.rollback.outcome) == (1, "done"), ran.said
    assert "NO-GO: Rolled back" in ran.said
    assert "pytest broke" not in ran.said
    assert world.answering() == {world.note()["previous"]}


def test_a_supervisor_that_nobody_listens_to_finishes_the_rollback_of_a_killed_run(run: Runner, world: World) -> None:
    with full_pipe() as stalled:
        process = run.start(*BAD, variables=world.variables, out=stalled, err=stalled)
        until(lambda: any(entry.event == "failed" for entry in journal(run)), "a failure that calls for a rollback")
        process.kill()
        process.wait()
        until(lambda: any(entry.text("by") == "the supervisor" for entry in settled(run)), "the end of the rollback")
    assert world.answering() == {world.note()["previous"]}


def journal(run: Runner) -> tuple[JournalEntry, ...]:
    return JournalView.read(run.output / "latest" / "journal.jsonl").entries


def settled(run: Runner) -> list[JournalEntry]:
    return [entry for entry in journal(run) if entry.event == "settled"]


def test_a_rollback_by_hand_is_done_although_nobody_reads_what_it_says(run: Runner, world: World) -> None:
    world.release("login-broken")
    command = [sys.executable, "-m", "rollback", "-e", "sandbox", f"--output={run.output}"]
    with full_pipe() as stalled:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **world.variables},
            stdin=subprocess.DEVNULL,
            stdout=stalled,
            stderr=stalled,
            timeout=WITHIN,
            check=False,
        )
    assert done.returncode == 0
    assert world.answering() == {world.note()["previous"]}
