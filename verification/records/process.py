"""Identities of processes: a number that was given out anew is somebody else.

psutil is imported where it is first used: a run that only collects needs no process.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass

from verification.deadline import Deadline, poll

_PAUSE = 0.2
_CLOCK_TOLERANCE = 1.5  # seconds by which the start of one process may be told differently (its clock was set)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of `host`; `started` is when it began, in seconds since 1970 (0: not known)."""

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> ProcessIdentity:
        """The process that asks."""
        import psutil

        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @property
    def is_running(self) -> bool:
        """Whether it runs; one of another machine counts as ended, as nobody here can see it."""
        import psutil

        if self.host != socket.gethostname() or self.pid <= 0:
            return False
        with suppress(psutil.NoSuchProcess):
            try:
                process = psutil.Process(self.pid)
                same = not self.started or abs(process.create_time() - self.started) < _CLOCK_TOLERANCE
                return same and process.status() != psutil.STATUS_ZOMBIE
            except psutil.AccessDenied:  # somebody else's: it runs
                return True
        return False


@dataclass(frozen=True, slots=True)
class ParentProcess:
    """The process `pid` that started this one."""

    pid: int

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, in whatever way: an orphan is given another parent at once."""
        return os.getppid() == self.pid

    def has_ended(self, within: float) -> bool:
        """Wait until it has ended, for `within` seconds at most; whether it has."""
        return poll(lambda: not self.is_running, Deadline.after(within), _PAUSE)

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
