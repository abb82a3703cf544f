"""Places to write to that take nothing."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Place = Callable[[], AbstractContextManager[int]]


@contextmanager
def full_pipe() -> Iterator[int]:
    """A pipe that nobody reads."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    yield write
    os.close(read)
    os.close(write)


@contextmanager
def stopped_terminal() -> Iterator[int]:
    """A terminal at which somebody has pressed Ctrl-S."""
    screen, terminal = os.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    yield terminal
    os.close(screen)
    os.close(terminal)


@contextmanager
def full_disk() -> Iterator[int]:
    """A file that takes nothing any more."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


@contextmanager
def reader_that_has_gone() -> Iterator[int]:
    """As after `| head`."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)
