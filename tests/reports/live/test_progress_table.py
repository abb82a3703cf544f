"""The table that a person sees on a terminal while a run waits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from io import StringIO

import pytest

from reports.live.table import ProgressTable, sparkline
from tests.reports.live.screen import ASKED, NOTHING, WATCH, Clock, Screen, terminal
from verification.probe import Progress
from verification.series import RowState, WatchRow, WatchSnapshot

__all__ = ["terminal"]


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
