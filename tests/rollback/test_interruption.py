"""Ctrl-C at a terminal: what is asked, and what follows from the answer."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from rollback.interrupts import _answer, undisturbed
from tests.rollback.stage import ROOT

SCRIPT = """
import os, sys, time
from rollback.interrupts import Interruptions
at_work = Interruptions()
asked = []
at_work.ask(lambda: asked.append(True) or "What shall serve?")
try:
    print("working", flush=True)
    while not asked:
        time.sleep(0.05)
    print("went on", flush=True)
except KeyboardInterrupt:
    print("interrupted", at_work.choice, flush=True)
"""


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-c", SCRIPT])  # noqa: S606
        self.seen = ""

    def until(self, words: str, within: float = 30) -> None:
        deadline = time.monotonic() + within
        while words not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} was not seen in {self.seen!r}"
            if select.select([self._file], [], [], left)[0]:
                self.seen += os.read(self._file, 1000).decode()

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def close(self) -> None:
        os.close(self._file)
        try:
            os.kill(self.pid, signal.SIGKILL)
        finally:
            os.waitpid(self.pid, 0)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    made.until("working")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("typed", "outcome"),
    [
        ("r\n", "interrupted rollback"),
        ("k\n", "interrupted hold"),
        ("c\n", "went on"),
        ("what?\nk\n", "interrupted hold"),
    ],
    ids=["roll back", "keep", "continue", "asked again"],
)
def test_a_person_is_asked_and_has_their_way(typed: str, outcome: str, terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.until("[r]oll back, [k]eep, or [c]ontinue?")
    terminal.type(typed)
    terminal.until(outcome)


def test_a_second_ctrl_c_is_an_end_and_no_answer(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.until("[c]ontinue?")
    terminal.type("\x03")
    terminal.until("interrupted None")


def test_a_terminal_that_takes_nothing_is_asked_nothing() -> None:
    """A stalled connection: a question in the handler of a signal would hold up the run for good."""
    screen, terminal = pty.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    begun = time.monotonic()
    assert _answer(terminal, "What shall serve?", 0.5) is None
    assert time.monotonic() - begun < 5
    os.close(screen)
    os.close(terminal)


def test_what_is_started_during_a_rollback_can_be_ended_by_its_deadline() -> None:
    """An ignored signal is inherited: gcloud past its deadline would not hear of it."""
    script = "import signal; print([signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP)])"
    with undisturbed():
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert said.stdout.strip() == "[True, True]"
