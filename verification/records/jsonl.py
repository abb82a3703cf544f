"""Append a line to a file so that it survives a crash of the process or the machine."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def append_line(path: Path, line: str) -> None:
    """Append `line` by a single write, on disk when this returns. A torn line before it is ended first. Raises OSError.

    Writers in other processes may append at the same time: lines do not mix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o644)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = ("\n" * torn + line + "\n").encode()
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)


def read_lines(path: Path) -> list[str]:
    """The lines of the file; none where there is no file, or none that can be read."""
    try:
        # Only a regular file: reading a pipe or a device could last for ever.
        return path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    except OSError:
        return []
