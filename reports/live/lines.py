"""The view of a run in a log: a line now and then, for a person who looks in on a CI job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from reports.text import one_line
from verification.probe import Progress
from verification.series import RowState, WatchRow, WatchSnapshot

QUESTIONS_EVERY = 30.0  # seconds
WATCH_EVERY = 60.0


def clock_text(seconds: float) -> str:
    """A duration as a clock shows it: `7:05`, `1:02:30`."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressLines:
    """Writes what is still open every 30 s; of a watch, a line a minute and one at each change of a row's state."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._questions_due = clock() + QUESTIONS_EVERY
        self._watch_due = clock()
        self._states: dict[str, RowState] = {}

    def show(self, progress: Progress, snapshot: WatchSnapshot | None) -> None:
        """Write the lines that are due."""
        if snapshot is not None:
            self._watch(snapshot)
        elif progress.open and self._clock() >= self._questions_due:
            self._questions_due = self._clock() + QUESTIONS_EVERY
            asked = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in progress.open.items())
            self._write(one_line(f"waiting for {asked}; {progress.answered} of {progress.of} answered"))

    def clear(self) -> None:
        """A line stays."""

    def _watch(self, snapshot: WatchSnapshot) -> None:
        left = f"{clock_text(snapshot.left_s)} of {clock_text(snapshot.of_s)} left"
        changed = [f"{row.criterion} is now {row.state}: {_against(row)}" for row in self._changed(snapshot)]
        if changed:
            self._write(one_line(f"watch, {left}: {'; '.join(changed)}"))
        if self._clock() >= self._watch_due:
            self._watch_due = self._clock() + WATCH_EVERY
            rows = (f"{row.criterion} {row.state}: {_against(row)}" for row in snapshot.rows)
            self._write(one_line(f"watch, {left}: {'; '.join((*rows, *snapshot.notes))}"))

    def _changed(self, snapshot: WatchSnapshot) -> Iterator[WatchRow]:
        for row in snapshot.rows:
            before = self._states.get(row.criterion, row.state)
            self._states[row.criterion] = row.state
            if row.state is not before:
                yield row


def _against(row: WatchRow) -> str:
    return f"{row.value} (limit {row.limit})" if row.limit else row.value
