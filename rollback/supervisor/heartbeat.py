"""The heartbeat of a run: its journal's time of change, set anew every second by a thread of the run.

It shows that the process runs, not that it gets on: lines show that. It is no line itself, because a journal is read by
people, and each line of it waits for the disk.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from verification.records.journal import JournalView

EVERY = 1.0  # seconds from one beat to the next
LOOK_EVERY = 5.0


def start_heartbeat(journal: Path) -> None:
    """Let it beat as long as this process runs."""
    stopped = threading.Event()  # by nobody: it ends with the process

    def beat() -> None:
        while not stopped.wait(EVERY):
            with suppress(OSError):
                os.utime(journal)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()


class Silence:
    """How long the run of `journal` has been silent, in seconds that somebody looked on.

    A machine that stood still, or a clock that was set, is nobody's silence: from one look to the next, a few seconds
    count at most.
    """

    def __init__(self, journal: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.without_line = self.without_heartbeat = 0.0
        self._journal = journal
        self._clock = clock
        self._looked = clock()
        self._lines = self._beat = 0
        self.look()

    def look(self) -> bool:
        """Look at the journal; whether the run owes a rollback."""
        passed, self._looked = min(self._clock() - self._looked, 2 * LOOK_EVERY), self._clock()
        view, beat = JournalView.read(self._journal), self._changed()
        is_new_line, is_new_beat = len(view.entries) != self._lines, beat != self._beat
        self._lines, self._beat = len(view.entries), beat
        self.without_line = 0.0 if is_new_line else self.without_line + passed
        self.without_heartbeat = 0.0 if is_new_beat else self.without_heartbeat + passed
        return bool(view.triggers) and not view.is_settled

    def restart(self) -> None:
        """Count the lines' silence anew."""
        self.without_line = 0.0

    def _changed(self) -> int:
        try:
            return self._journal.stat().st_mtime_ns
        except OSError:
            return 0
