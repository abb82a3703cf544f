"""Processes, told apart by more than their number: a number that was given out anew is somebody else."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAUSE = 0.5
_PS_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process of `host`; `started` says when, in the system's own words (empty: the system does not tell)."""

    host: str
    pid: int
    started: str

    @property
    def lives(self) -> bool:
        """Whether it runs; one of another machine counts as ended, as nobody here can see it."""
        if self.host != socket.gethostname() or self.pid <= 0:
            return False
        state, started = _seen(self.pid)
        if state == "Z" or (self.started and started and self.started != started):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's
            return True
        return True


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname(), os.getpid(), _seen(os.getpid())[1])


class Parent:
    """The process that started this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._watched = os.pidfd_open(pid)
        except (AttributeError, OSError):  # not Linux, or an old one; or it is gone
            self._watched = -1

    @property
    def lives(self) -> bool:
        """Whether it has not ended, in whatever way. Its number, given out anew, is not taken for it."""
        return os.getppid() == self.pid

    def ended(self, within: float) -> bool:
        """Wait until it has ended, for `within` seconds at most; whether it has."""
        until = time.monotonic() + within
        # Still our parent after it was opened: what is watched is not somebody else of the same number.
        while self.lives:
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._watched < 0:
                time.sleep(min(_PAUSE, left))
            elif select.select([self._watched], [], [], left)[0]:
                return True
        return True

    def signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.lives:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _seen(pid: int) -> tuple[str, str]:
    """Its state's letter and when it started, as far as the system tells."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return _seen_by_ps(pid)
    return words[0], words[19]


def _seen_by_ps(pid: int) -> tuple[str, str]:
    if Path("/proc/self/stat").exists():
        return "", ""
    try:
        done = subprocess.run(
            ["ps", "-o", "state=,lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=_PS_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    state, _, started = done.stdout.strip().partition(" ")
    return state[:1], started.strip()
