"""What a run that waits writes to a terminal, however the wait ends."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from time import monotonic

import pytest
from _pytest._io import TerminalWriter

from reports.live.progress_reporter import ProgressReporter
from tests.reports.live.screen import ASKED, WATCH, Screen, terminal
from verification.probe import Progress
from verification.series import WatchSnapshot

__all__ = ["terminal"]

ROOT = Path(__file__).parents[3]


class Device:
    """A terminal device: what a run writes to it, and what a person would see."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self.raw = ""
        self.screen = Screen()
        self._decode = getincrementaldecoder("utf-8")().decode  # a read may end within a sign
        self.file = os.fdopen(os.dup(self.slave), "w", encoding="utf-8")

    def writer(self) -> TerminalWriter:
        return TerminalWriter(self.file)

    def read(self, within: float) -> bool:
        """Take what has been written; False when nothing was for this many seconds, or the other side has ended."""
        if not select([self.master], [], [], within)[0]:
            return False
        try:
            text = self._decode(os.read(self.master, 65536))
        except OSError:  # Linux's word for an end
            return False
        self.raw += text
        self.screen.feed(text)
        return bool(text)

    def close(self) -> None:
        self.file.close()
        for one in (self.master, self.slave):
            os.close(one)


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.close()


def test_what_is_drawn_is_gone_when_the_wait_ends_however_it_ends(device: Device) -> None:
    reporter = ProgressReporter(device.writer(), pytest.fail, lambda: ASKED, lambda: None)

    def interrupted() -> None:
        with reporter.waiting() as show:
            show()
            _until(device, lambda: "test_suite" in device.screen.text)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    _until(device, lambda: not device.screen.lines and "\x1b[?25h" in device.raw)  # the cursor is to be seen again


def test_a_terminal_that_is_stopped_holds_nobody_up(device: Device) -> None:
    asked: list[int] = []

    def progress() -> Progress:
        asked.append(1)
        termios.tcflow(device.slave, termios.TCOON)  # else a failure of this test would wait for ever
        return ASKED

    termios.tcflow(device.slave, termios.TCOOFF)  # Ctrl-S
    with ProgressReporter(device.writer(), pytest.fail, progress, lambda: None).waiting() as show:
        show()
        assert asked == []
        termios.tcflow(device.slave, termios.TCOON)
        show()
        assert asked == [1]


def test_what_breaks_is_said_once_and_costs_the_run_nothing(device: Device, secret: str) -> None:
    said: list[str] = []

    def snapshot() -> WatchSnapshot:
        raise RuntimeError(f"no snapshot: {secret}")

    with ProgressReporter(device.writer(), said.append, lambda: ASKED, snapshot).waiting() as show:
        show()
        show()
    assert said == ["note: the live view is off: RuntimeError: no snapshot: [redacted]"]


def test_a_terminal_that_is_gone_costs_the_run_nothing(device: Device) -> None:
    def say(line: str) -> None:
        raise OSError(line)

    with ProgressReporter(device.writer(), say, lambda: ASKED, lambda: None).waiting() as show:
        device.file.close()
        show()


@pytest.mark.parametrize("variable", [("TERM", "dumb"), ("CI", "true")])
def test_a_dumb_terminal_and_a_ci_job_s_have_lines(
    device: Device, terminal: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    terminal.setenv(*variable)
    said: list[str] = []
    with ProgressReporter(device.writer(), said.append, lambda: ASKED, lambda: WATCH).waiting() as show:
        show()
    assert len(said) == 1
    assert said[0].startswith("watch, 7:12 of 15:00 left: p95_latency good")
    assert not device.read(0)


CRITERIA = """
import time
from pathlib import Path

import pytest

from verification.probe import probe


@probe
def answered_at_once(): return 1


@probe
def answered_when_it_was_seen():
    until = time.monotonic() + 60
    while not Path(__file__).with_name("seen").exists():
        assert time.monotonic() < until, "nobody saw the question"
        time.sleep(0.01)
    return 2


@pytest.mark.smoke
def test_quick(answered_at_once): pass


@pytest.mark.smoke
def test_slow(answered_when_it_was_seen): pass
"""


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ([], "test_team.py .", "test_team.py .."),
        (["-v", "-s", "--color=no"], "test_quick PASSED", "test_slow PASSED"),
    ],
    ids=["plain", "verbose"],
)
def test_a_run_shows_its_open_questions_on_a_terminal(
    device: Device, tmp_path: Path, options: list[str], before: str, after: str
) -> None:
    (tmp_path / "criteria").mkdir()
    (tmp_path / "criteria" / "test_team.py").write_text(CRITERIA)
    (tmp_path / "deployment.toml").write_text(
        '[service]\nname = "a"\n[environments.production]\nroles = ["production"]\nurl = "http://127.0.0.1:9"\n'
        '[criteria]\npaths = ["criteria"]\n'
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "smoke", "--env=production", *options]
    places = [f"--deployment={tmp_path}/deployment.toml", f"--output={tmp_path}/output"]
    with subprocess.Popen(
        [*command, *places], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=device.slave, stderr=device.slave
    ) as run:
        try:
            question = "s  answered_when_it_was_seen"
            _until(device, lambda: question in device.screen.text or run.poll() is not None)
            assert question in device.screen.text
            assert before in device.screen.text
            assert "1 of 2 questions answered, waiting for:" in device.screen.lines
            (tmp_path / "criteria" / "seen").touch()
            _until(device, lambda: run.poll() is not None)
            _until(device, lambda: " passed" in device.screen.text)  # pytest's last line
        finally:
            run.kill()
    assert "answered_when_it_was_seen" not in device.screen.text
    assert "questions answered" not in device.screen.text
    assert after in device.screen.text


def _until(device: Device, condition: Callable[[], bool], within: float = 60.0) -> None:
    deadline = monotonic() + within
    while not condition():
        device.read(0.05)
        assert monotonic() < deadline, f"not seen within {within:g} s; on the screen is:\n{device.screen.text}"
