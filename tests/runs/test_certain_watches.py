"""What a watch is certain about stands in the journal at once, and counts whatever becomes of the run."""

from __future__ import annotations

import signal
import textwrap

from tests.runs.conftest import until
from tests.runs.stalled import stopped_terminal
from tests.runs.watching import Watching, crowd, watching, world
from verification.records.journal import JournalView

__all__ = ["crowd", "watching", "world"]

HANGS = """
    import pytest, time

    @pytest.mark.monitor
    def test_that_hangs():
        time.sleep(600)
"""


def certain_and_armed(journal: JournalView) -> bool:
    """A watch may be certain while it is still found out what serves: a run that is interrupted then cannot go back."""
    return bool(journal.triggers) and journal.has("armed")


def test_a_run_that_hangs_owes_the_rollback_that_its_watch_was_certain_about(watching: Watching) -> None:
    world, team = watching.world, watching.run.folder / "team"
    before = world.answering().pop()
    team.mkdir()
    (team / "test_team.py").write_text(textwrap.dedent(HANGS), encoding="utf-8")
    with watching.patient.open("a", encoding="utf-8") as file:
        file.write('\n[criteria]\npaths = ["team"]\n')
    process = watching.run.start(*watching.arguments, "--fault", "critical-error", variables=world.variables)
    journal = watching.run.output / "latest" / "journal.jsonl"
    try:
        until(lambda: certain_and_armed(JournalView.read(journal)), "the trigger, while the run hangs")
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)  # what the supervisor sends to one that gets nowhere
    ran = watching.run.end(process)
    assert ran.verdict.rollback.outcome == "done", ran.said
    assert ran.verdict.rollback.triggers == JournalView.read(journal).triggers
    assert world.answering() == {before}


def test_a_watch_at_a_terminal_that_takes_nothing_ends_in_its_time_and_rolls_back(watching: Watching) -> None:
    world = watching.world
    before = world.answering().pop()
    with stopped_terminal() as stalled:
        variables = {**world.variables, "TERM": "xterm-256color", "CI": ""}
        run = watching.run.start(
            *watching.arguments, "--fault", "critical-error", variables=variables, out=stalled, err=stalled
        )
        ran = watching.run.end(run)
    assert (ran.code, ran.verdict.rollback.outcome) == (1, "done")
    assert world.answering() == {before}
    failed, moving = (
        [entry.at for entry in ran.journal if entry.event == event] for event in ("failed", "rolling-back")
    )
    assert (moving[0] - failed[0]).total_seconds() < 30, "nothing waits for the terminal"
