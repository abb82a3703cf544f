"""What a person sees while a run waits: on a terminal, which these tests have in memory, and in a log."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from select import select
from time import monotonic

import pyte
import pytest
from _pytest._io import TerminalWriter

from reports.live.lines import ProgressLines, clock_text
from reports.live.progress_reporter import ProgressReporter
from reports.live.table import ProgressTable, sparkline
from verification.probe import Progress
from verification.series import RowState, WatchRow, WatchSnapshot

ROOT = Path(__file__).parents[3]
ASKED = Progress({"test_suite": 42.4, "sentry_review": 41.6}, answered=14, of=20)
NOTHING = Progress({}, answered=20, of=20)
WATCH = WatchSnapshot(
    432.0,
    900.0,
    (
        WatchRow("p95_latency", "312 ms", "500 ms", RowState.GOOD, (300.0, 310.0, None, 312.0)),
        WatchRow("error_rate", "7.3 %", "1 %", RowState.BAD, (0.0, 0.1, 7.3)),
        WatchRow("sentry_error_rate", "missing", "1 %", RowState.UNKNOWN, (None, None)),
    ),
    ("started with the first request at 10:15:07 UTC",),
)


class Clock:
    """A clock that a test sets."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


class Screen:
    """A terminal of this size, and what is on it."""

    def __init__(self, columns: int = 100, lines: int = 30) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self.screen)

    def feed(self, text: str) -> None:
        # A terminal device makes a carriage return and a line feed of a newline.
        self._stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Drawn:
    """A table on a terminal in memory, below a line that pytest has begun."""

    screen: Screen
    begun: str = ""
    colour: bool = True
    clock: Clock = field(default_factory=Clock)
    file: StringIO = field(default_factory=StringIO)

    def __post_init__(self) -> None:
        self.table = ProgressTable(self.file, colour=self.colour, column=lambda: len(self.begun), clock=self.clock)
        self.screen.feed(self.begun)

    def show(self, progress: Progress, snapshot: WatchSnapshot | None = None) -> str:
        self.table.show(progress, snapshot)
        return self.written()

    def written(self) -> str:
        """What was written since this was last asked; the screen has it."""
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        self.screen.feed(text)
        return text


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a terminal of 100 columns, whatever the test run itself writes to."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


# --- the table ----------------------------------------------------------------------------------------------


def test_the_open_questions_stand_below_what_pytest_writes_and_leave_no_trace() -> None:
    drawn = Drawn(Screen(), "smoke/test_health.py ..")
    drawn.show(ASKED)
    assert drawn.screen.lines == [
        "smoke/test_health.py ..",
        "14 of 20 questions answered, waiting for:",
        "   42 s  test_suite",
        "   42 s  sentry_review",
    ]
    drawn.table.clear()
    drawn.written()
    drawn.screen.feed(".")
    assert drawn.screen.lines == ["smoke/test_health.py ..."]


def test_a_watch_shows_time_left_and_each_value_against_its_limit() -> None:
    drawn = Drawn(Screen())
    drawn.show(Progress({"watch": 468.0}, 3, 4), WATCH)
    lines = drawn.screen.lines
    assert lines[0].startswith("watch ━━━")
    assert lines[0].endswith("7:12 of 15:00 left")
    assert [line.split() for line in lines[2:5]] == [
        ["✓", "p95_latency", "312", "ms", "500", "ms", "██·█"],
        ["✗", "error_rate", "7.3", "%", "1", "%", "▁▁█"],
        ["?", "sentry_error_rate", "missing", "1", "%", "··"],
    ]
    assert lines[5] == WATCH.notes[0]
    drawn.table.clear()
    drawn.written()
    assert drawn.screen.lines == []


def test_a_frame_is_drawn_once_a_second_and_nothing_where_nothing_is_open() -> None:
    drawn = Drawn(Screen())
    assert drawn.show(NOTHING) == ""
    assert "42 s" in drawn.show(ASKED)
    drawn.clock.time += 0.9
    assert drawn.show(ASKED) == ""
    drawn.clock.time += 0.2
    assert "43 s" in drawn.show(replace(ASKED, open={"test_suite": 43.0}))
    assert "sentry_review" not in drawn.screen.text


def test_without_colour_the_signs_tell_it_all(terminal: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;31m" in Drawn(Screen()).show(NOTHING, WATCH)
    plain = Drawn(Screen(), colour=False).show(NOTHING, WATCH)
    assert not any(f"\x1b[{code}" in plain for code in ("31", "32", "33", "1;31", "38"))
    assert "✗" in plain


def test_a_narrow_terminal_has_it_all_on_one_line_each(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "60")
    watch = replace(WATCH, rows=tuple(replace(row, recent=(1.0,) * 90) for row in WATCH.rows))
    drawn = Drawn(Screen(60))
    drawn.show(ASKED, watch)
    lines = drawn.screen.lines
    assert len(lines) == 1 + 1 + 3 + 1 + 3
    for said in ("p95_latency", "sentry_error_rate", "312 ms", "500 ms", "██████", "7:12 of 15:00 left"):
        assert said in drawn.screen.text
    drawn.table.clear()
    drawn.written()
    assert drawn.screen.lines == []


def test_a_low_terminal_shows_what_fits_and_counts_the_rest(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("LINES", "12")
    drawn = Drawn(Screen(lines=12), "smoke/test_health.py ..")
    drawn.show(replace(ASKED, open={f"question_{number}": 1.0 for number in range(40)}))
    assert drawn.screen.lines[0] == "smoke/test_health.py .."
    assert drawn.screen.lines[-1] == "         and 32 more"
    drawn.table.clear()
    drawn.written()
    assert drawn.screen.lines == ["smoke/test_health.py .."]


def test_hostile_text_is_shown_as_text_and_secrets_are_hidden(secret: str) -> None:
    drawn = Drawn(Screen())
    row = WatchRow("[bold]a[/bold]\x1b[2J", f"{secret} ms", "1\n2", RowState.BAD, (1.0,))
    drawn.show(Progress({f"b\x1b[2J {secret}": 1.0}, 0, 1), replace(WATCH, rows=(row,), notes=(f"[red] {secret}",)))
    assert "[bold]a[/bold]" in drawn.screen.text
    assert "[red] [redacted]" in drawn.screen.text
    assert "1 2" in drawn.screen.text
    assert secret not in drawn.screen.text
    assert drawn.screen.lines[0].startswith("watch")


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ((), ""),
        ((0.0, 0.0), "▁▁"),
        ((5.0,), "█"),
        ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), "▁▂▃▄▅▆▇█"),
        ((1.0, None, float("nan"), float("inf"), 1.0), "█···█"),
        ((-1.0, 0.0, 1.0), "▁▅█"),
        ((1.7e308, -1.7e308), "█▁"),
        ((5e-324, 0.0), "▁▁"),
    ],
)
def test_a_sparkline_begins_at_zero_and_has_gaps(values: tuple[float | None, ...], bars: str) -> None:
    assert sparkline(values) == bars


# --- the lines ----------------------------------------------------------------------------------------------


def test_a_log_names_every_30_seconds_what_is_open() -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    for _ in range(4 * 65):
        lines.show(ASKED, None)
        clock.time += 0.25
    assert said == ["waiting for test_suite (42 s), sentry_review (42 s); 14 of 20 answered"] * 2
    clock.time += 60
    lines.show(NOTHING, None)
    assert len(said) == 2


def test_a_log_has_a_line_a_minute_of_a_watch_and_one_at_each_change() -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    watch = replace(WATCH, rows=WATCH.rows[:1], notes=("resumed",))
    bad = replace(watch, rows=(replace(watch.rows[0], value="612 ms", state=RowState.BAD),))
    for second in range(90):
        lines.show(ASKED, watch if second < 30 else bad)
        clock.time += 1
    assert said == [
        "watch, 7:12 of 15:00 left: p95_latency good: 312 ms (limit 500 ms); resumed",
        "watch, 7:12 of 15:00 left: p95_latency is now bad: 612 ms (limit 500 ms)",
        "watch, 7:12 of 15:00 left: p95_latency bad: 612 ms (limit 500 ms); resumed",
    ]


def test_a_log_is_spared_secrets_and_control_characters(secret: str) -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    clock.time += 30
    lines.show(Progress({f"a\n::error::{secret}\x1b[2J": 1.0}, 0, 1), None)
    assert len(said) == 1
    assert not {"\n", "\x1b"} & set(said[0])
    assert secret not in said[0]


def test_time_left_reads_as_on_a_clock() -> None:
    assert [clock_text(one) for one in (-1, 7.4, 432, 3600)] == ["0:00", "0:07", "7:12", "1:00:00"]


# --- in a run -----------------------------------------------------------------------------------------------


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
