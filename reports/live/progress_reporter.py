"""What a person sees while a run waits for answers: a live view on a terminal, plain lines in a CI log.

It is drawn by the main thread, between the slices of its wait (`Probes.next_settled`), and gone before a criterion's
own output begins. It must never cost a run its verdict: what breaks here is switched off and said once, and a terminal
that takes nothing just now (Ctrl-S, a stalled connection) is not written to.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from _pytest._io import TerminalWriter

from reports.live.lines import ProgressLines
from reports.text import one_line
from verification.probe import Progress
from verification.series import WatchSnapshot

if TYPE_CHECKING:
    from reports.live.table import ProgressTable


class ProgressReporter:
    """Shows `progress` and, while a watch is on, its `snapshot`: through pytest's `writer`, or line by line (`say`)."""

    def __init__(
        self,
        writer: TerminalWriter,
        say: Callable[[str], None],
        progress: Callable[[], Progress],
        snapshot: Callable[[], WatchSnapshot | None],
    ) -> None:
        self._file = writer._file  # noqa: SLF001  (sys.stdout is what pytest captures)
        self._say = say
        self._progress = progress
        self._snapshot = snapshot
        self._view = _view(writer, self._file, say)
        self._broken = False

    @contextmanager
    def waiting(self) -> Iterator[Callable[[], None]]:
        """Around one wait: gives what is to be called now and then while it lasts."""
        try:
            yield self._show
        finally:
            self._guarded(self._view.clear)

    def _show(self) -> None:
        if _is_writable(self._file):
            self._guarded(lambda: self._view.show(self._progress(), self._snapshot()))

    def _guarded(self, act: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            act()
        except Exception as error:
            self._broken = True
            with suppress(Exception):
                self._view.clear()
            with suppress(Exception):
                self._say(one_line(f"note: the live view is off: {type(error).__name__}: {error}"))


def _view(writer: TerminalWriter, file: TextIO, say: Callable[[str], None]) -> ProgressLines | ProgressTable:
    if not _can_draw(file):
        return ProgressLines(say)
    from reports.live.table import ProgressTable

    return ProgressTable(file, colour=writer.hasmarkup, column=lambda: writer.width_of_current_line)


def _can_draw(file: TextIO) -> bool:
    """Whether it is a terminal that moves its cursor and knows the signs; a CI job's is a log, whatever it says."""
    capable = os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}
    utf = (getattr(file, "encoding", None) or "").lower().startswith("utf")
    return file.isatty() and capable and utf and not os.environ.get("CI")


def _is_writable(file: TextIO) -> bool:
    """Whether a write would go through at once."""
    try:
        return bool(select.select([], [file], [], 0)[1])
    except (OSError, ValueError):  # it is no file of the system's
        return True
