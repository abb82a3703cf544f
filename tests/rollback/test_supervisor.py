"""Whom the supervisor ends: a run that owes a rollback and gets nowhere, not one that is at work or owes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rollback.supervisor.heartbeat import Silence
from tests.rollback.stage import ROOT
from verification.records.journal import Journal, JournalView

RUN = """
import sys, time
from pathlib import Path
from verification.records.journal import Journal
from rollback.supervisor.start import SupervisorProcess

journal, lines = Journal(Path(sys.argv[1])), int(sys.argv[2])
if sys.argv[3] == "owes":
    journal.failed("login")
SupervisorProcess().start(journal.path, Path("nowhere.toml"), "sandbox", journal.path.parent, 3)
for _ in range(int(sys.argv[4])):
    time.sleep(1)
    if lines:
        journal.write("strategy-failed", strategy="cloud_run", reason="it takes long")
journal.write("settled", outcome="failed")
"""


def command(journal: Path, *, lines: bool = False, owes: str = "owes", seconds: int = 9) -> list[str]:
    return [sys.executable, "-c", RUN, str(journal), str(int(lines)), owes, str(seconds)]


def run(journal: Path, *, lines: bool) -> int:
    return subprocess.run(command(journal, lines=lines), cwd=ROOT, timeout=60, check=False).returncode


def test_a_run_whose_journal_grows_is_left_at_its_rollback(tmp_path: Path) -> None:
    assert run(tmp_path / "run" / "journal.jsonl", lines=True) == 0


def test_a_run_that_owes_a_rollback_and_is_silent_is_ended_and_people_are_told(tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal.jsonl"
    assert run(journal, lines=False) == -signal.SIGTERM
    assert "ended before its rollback was finished (triggered by login)" in summary(journal)


def summary(journal: Path) -> str:
    file, until = journal.with_name("summary.md"), time.monotonic() + 30
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return file.read_text(encoding="utf-8")


def stopped(journal: Path, owes: str) -> subprocess.Popen[bytes]:
    """A run that stands still, as after Ctrl-Z; its heart has beaten before."""
    Journal(journal).write("begun")
    process = subprocess.Popen(command(journal, owes=owes, seconds=60), cwd=ROOT)
    written, until = len(JournalView.read(journal).entries), time.monotonic() + 30
    seen = {journal.stat().st_mtime_ns}
    while len(seen) < written + 3:
        assert time.monotonic() < until, "its heart does not beat"
        time.sleep(0.1)
        seen.add(journal.stat().st_mtime_ns)
    process.send_signal(signal.SIGSTOP)
    return process


def test_of_two_runs_that_stand_still_the_one_that_owes_a_rollback_is_taken_over(tmp_path: Path) -> None:
    owing, idle = (tmp_path / name / "journal.jsonl" for name in ("owing", "idle"))
    one, other = stopped(owing, "owes"), stopped(idle, "nothing")
    try:
        assert one.wait(60) == -signal.SIGKILL, "a stopped process takes no other signal"
        assert "ended before its rollback was finished (triggered by login)" in summary(owing)
        assert other.poll() is None
    finally:
        for process in (one, other):
            process.kill()
            process.wait()


class Clock:
    """A clock that a test sets."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_heartbeat_is_no_progress_and_a_line_is(tmp_path: Path, clock: Clock) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.failed("login")
    silence = Silence(journal.path, clock)
    for beat in range(1, 10):
        os.utime(journal.path, (beat, beat))
        clock.time += 5
        assert silence.look(), "it owes a rollback"
    assert (silence.without_line, silence.without_heartbeat) == (45, 0)
    journal.write("rolling-back")
    silence.look()
    assert silence.without_line == 0


def test_a_machine_that_stood_still_has_seen_no_silence(tmp_path: Path, clock: Clock) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.failed("login")
    silence = Silence(journal.path, clock)
    silence.look()
    clock.time += 3600
    silence.look()
    assert silence.without_line <= 10
    assert silence.without_heartbeat <= 10


def test_what_is_settled_or_has_not_failed_owes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    silence = Silence(journal.path)
    assert not silence.look(), "there is no journal"
    journal.write("begun")
    assert not silence.look()
    journal.failed("login")
    assert silence.look()
    journal.write("settled", outcome="failed")
    assert not silence.look()
