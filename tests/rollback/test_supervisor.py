"""Whom the supervisor ends: a run that owes a rollback and is silent, not one that is at work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.rollback.stage import ROOT

RUN = """
import sys, time
from pathlib import Path
from verification.records.journal import Journal
from rollback.supervisor.start import SupervisorProcess

journal, lines = Journal(Path(sys.argv[1])), int(sys.argv[2])
journal.failed("login")
SupervisorProcess().start(journal.path, Path("nowhere.toml"), "sandbox", journal.path.parent, 3)
for _ in range(9):
    time.sleep(1)
    if lines:
        journal.write("strategy-failed", strategy="cloud_run", reason="it takes long")
journal.write("settled", outcome="failed")
"""


def run(journal: Path, *, lines: bool) -> int:
    command = [sys.executable, "-c", RUN, str(journal), str(int(lines))]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


def test_a_run_whose_journal_grows_is_left_at_its_rollback(tmp_path: Path) -> None:
    assert run(tmp_path / "run" / "journal.jsonl", lines=True) == 0


def test_a_run_that_owes_a_rollback_and_is_silent_is_ended_and_people_are_told(tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal.jsonl"
    assert run(journal, lines=False) == -signal.SIGTERM
    summary, until = journal.with_name("summary.md"), time.monotonic() + 30
    while not summary.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert "ended before its rollback was finished (triggered by login)" in summary.read_text(encoding="utf-8")
