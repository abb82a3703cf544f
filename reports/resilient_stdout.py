"""A run's standard output, which may end before the run does: on a full disk, or when its reader has gone.

pytest breaks where it cannot write. But what is at stake is production: the run goes on without being heard, and its
verdict is said on standard error.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO, cast

from _pytest._io import TerminalWriter


class ResilientStdout:
    """What pytest's terminal writer writes to, from `wrap` on. `lost` once somebody does not take it any more."""

    def __init__(self) -> None:
        self.lost = False
        self._file: TextIO = sys.stdout

    def wrap(self, writer: TerminalWriter) -> None:
        """Let `writer` write to this, and this to the file that it had."""
        self._file = writer._file  # noqa: SLF001  (sys.stdout is what pytest captures)
        writer._file = cast("TextIO", self)  # noqa: SLF001

    def write(self, text: str) -> int:
        """See TextIO; never raises OSError."""
        if not self.lost:
            try:
                self._file.write(text)
            except OSError:
                self.lost = True
        return len(text)

    def flush(self) -> None:
        """See TextIO; never raises OSError."""
        if not self.lost:
            try:
                self._file.flush()
            except OSError:
                self.lost = True

    def close(self) -> None:
        """Flush for the last time."""
        self.lost |= flush_or_drop(self._file) | flush_or_drop(sys.__stdout__)

    def __getattr__(self, name: str) -> object:
        """Whatever else is asked of a file."""
        return getattr(self._file, name)


def flush_or_drop(file: TextIO | None) -> bool:
    """Whether nobody takes what `file` still holds, which is dropped then: it must not cost a run its exit code."""
    if file is None:
        return False
    try:
        file.flush()
    except OSError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, file.fileno())
            os.close(nowhere)
            file.flush()
        return True
    return False
