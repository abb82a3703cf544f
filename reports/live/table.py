"""The view of a run on a terminal: the open questions with their seconds, and a watch with each criterion's values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING, TextIO

from reports.live.lines import clock_text
from reports.text import one_line
from verification.probe import Progress
from verification.series import RowState, WatchSnapshot

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_EVERY = 1.0  # seconds between two frames: it counts in seconds
_BARS = "▁▂▃▄▅▆▇█"
_GAP = "·"
_LOOKS = {RowState.GOOD: ("✓", "green"), RowState.BAD: ("✗", "bold red"), RowState.UNKNOWN: ("?", "yellow")}
_WORDS_WIDTH = 54  # columns of a watch's row beside its sparkline
_LEAST_SPARKS, _MOST_SPARKS = 6, 40


def sparkline(values: Iterable[float | None]) -> str:
    """The values as bars on a scale from zero to the highest of them; a dot where nothing was observed."""
    kept = [value if value is not None and isfinite(value) else None for value in values]
    seen = [value for value in kept if value is not None]
    low, high = min(0.0, *seen, 0.0), max(0.0, *seen, 0.0)
    # Halved, because the distance between two large numbers may be too large for one.
    span = (high / 2 - low / 2) or 1.0
    return "".join(
        _GAP if value is None else _BARS[min(int((value / 2 - low / 2) / span * len(_BARS)), len(_BARS) - 1)]
        for value in kept
    )


class ProgressTable:
    """Draws below the line at which pytest is (`column` says how far it is written), and puts the cursor back there."""

    def __init__(
        self,
        file: TextIO,
        *,
        colour: bool,
        column: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._colour = colour
        self._column = column
        self._clock = clock
        self._live: Live | None = None
        self._drawn = 0.0
        self._back_to = 0

    def show(self, progress: Progress, snapshot: WatchSnapshot | None) -> None:
        """Draw a frame if the last one is a second old."""
        if self._live is not None and self._clock() - self._drawn < _EVERY:
            return
        if not progress.open and snapshot is None:
            return
        live = self._live or self._begin()
        self._drawn = self._clock()
        live.update(_frame(live.console, progress, snapshot), refresh=True)

    def clear(self) -> None:
        """Take the frame away and go back to where pytest was writing."""
        live, self._live = self._live, None
        if live is None:
            return
        live.update("")
        live.stop()
        if self._back_to:
            from rich.control import Control

            right = self._back_to % live.console.width
            live.console.control(Control.move(0, -1), Control.move_to_column(right))

    def _begin(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        console = Console(
            file=self._file,
            force_terminal=True,
            force_interactive=True,
            no_color=not self._colour,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._back_to = self._column()
        if self._back_to:
            console.line()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        return self._live


def _frame(console: Console, progress: Progress, snapshot: WatchSnapshot | None) -> RenderableType:
    from rich.console import Group

    parts = [] if snapshot is None else [*_watch(snapshot, console.width)]
    left = console.height - 4 - (len(snapshot.rows) + len(snapshot.notes) + 2 if snapshot else 0)
    return Group(*parts, *_questions(progress, max(left, 1)))


def _watch(snapshot: WatchSnapshot, width: int) -> Iterator[RenderableType]:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    gone = max(snapshot.of_s - snapshot.left_s, 0.0)
    left = f"{clock_text(snapshot.left_s)} of {clock_text(snapshot.of_s)} left"
    head.add_row("watch", ProgressBar(total=snapshot.of_s, completed=gone, width=max(width - 32, 10)), left)
    yield head
    sparks = min(max(width - _WORDS_WIDTH, _LEAST_SPARKS), _MOST_SPARKS)
    rows = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in ("", "criterion", "value", "limit", "lately"):
        rows.add_column(heading, no_wrap=True, overflow="ellipsis", justify="left")
    for row in snapshot.rows:
        symbol, style = _LOOKS[row.state]
        words = (one_line(row.criterion), one_line(row.value), one_line(row.limit))
        recent = sparkline(row.recent[-sparks:])
        rows.add_row(Text(symbol, style), Text(words[0]), Text(words[1], style), Text(words[2]), Text(recent, style))
    yield rows
    for note in snapshot.notes:
        yield Text(one_line(note), no_wrap=True, overflow="ellipsis")


def _questions(progress: Progress, most: int) -> Iterator[RenderableType]:
    """Those that wait longest first, on at most `most` lines; a line before them, and one after for the rest."""
    from rich.text import Text

    shown = list(progress.open.items())[:most]
    more = len(progress.open) - len(shown)
    count = f"{progress.answered} of {progress.of} questions answered, waiting for:"
    yield Text(count, "dim", no_wrap=True, overflow="ellipsis")
    for name, seconds in shown:
        yield Text(f"{seconds:5.0f} s  {one_line(name)}", no_wrap=True, overflow="ellipsis")
    if more:
        yield Text(f"         and {more} more")
