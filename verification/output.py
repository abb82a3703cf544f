"""Output that holds nobody up: a thread of its own writes it, and what nobody takes for long is dropped.

A terminal may take nothing (Ctrl-S, a stalled connection), a pipe may be full and nobody read it, a disk may be full, a
reader may have gone. What is at stake is production: whoever prints goes on at once, and the run is heard or not.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MOST = 1 << 22  # bytes that wait to be taken
_AT_ONCE = 4096  # bytes: what a pipe that has room takes whole
_LAST_WORDS = 2.0  # seconds without a byte taken after which nobody is waited for at the end ...
_LONGEST_END = 10.0  # ... nor longer than this in any case


class OutputThread:
    """Writes to the open file `descriptor`, of which it keeps a copy: what takes its place later is none of its.

    Of what waits, at most `most` bytes are kept, the newest; how much was dropped is said in a line once it flows
    again. `lost` once the file takes nothing any more.
    """

    def __init__(self, descriptor: int, most: int = _MOST) -> None:
        self.file = os.dup(descriptor)
        self.lost = False
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._size = 0  # bytes that wait
        self._dropped = 0  # lines
        self._busy = False
        self._ended = False
        self._taken = 0.0  # when something was taken last, or began to wait
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name=f"output {descriptor}", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Have `data` written. Returns at once, and never raises OSError."""
        with self._changed:
            if not data or self.lost or self._ended:
                return
            if not self._is_behind:
                self._taken = time.monotonic()
            self._waiting.append(data)
            self._size += len(data)
            while self._size > self._most and len(self._waiting) > 1:
                self._dropped += self._next().count(b"\n")
            self._changed.notify_all()

    def drained(self) -> bool:
        """Whether all was taken: waits for that, but not for a file that takes nothing."""
        latest = time.monotonic() + _LONGEST_END
        with self._changed:
            while self._is_behind:
                left = min(self._taken + _LAST_WORDS, latest) - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return not self.lost

    def end(self) -> None:
        """Write nothing any more but what waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def _is_behind(self) -> bool:
        return bool(self._waiting) or self._busy

    def _next(self) -> bytes:
        data = self._waiting.popleft()
        self._size -= len(data)
        return data

    def _work(self) -> None:
        try:
            while data := self._to_write():
                while data:
                    data = data[self._written(data) :]
        except OSError:
            with self._changed:
                self.lost, self._busy = True, False
                self._waiting.clear()
                self._changed.notify_all()
        os.close(self.file)

    def _to_write(self) -> bytes:
        """What comes next, once there is something; nothing at the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._ended)
            self._busy = bool(self._waiting)
            if dropped := self._dropped:
                self._dropped = 0
                return f"\n[{dropped} lines were dropped here: nobody took them]\n".encode()
            data = b""
            while self._waiting and len(data) < _AT_ONCE:
                data += self._next()
            return data

    def _written(self, data: bytes) -> int:
        try:
            count = os.write(self.file, data[:_AT_ONCE])
        except BlockingIOError:  # somebody else has set it so
            select.select([], [self.file], [])
            return 0
        self._taken = time.monotonic()
        return count


class _Bytes(io.RawIOBase):
    """The bytes below a text stream that `thread` writes for the file `descriptor`."""

    def __init__(self, thread: OutputThread, descriptor: int) -> None:
        self._thread = thread
        self._descriptor = descriptor
        self._is_terminal = os.isatty(descriptor)

    def write(self, data: ReadableBuffer) -> int:
        several = bytes(data)
        self._thread.write(several)
        return len(several)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._is_terminal


class UnblockedOutput:
    """`sys.stdout` and `sys.stderr` as threads write them, from now on until `close`.

    One that is no file of the system's stays as it is. Both are in order where both are the same file.
    """

    def __init__(self) -> None:
        self._before = sys.stdout, sys.stderr
        self._threads: dict[tuple[int, int], OutputThread] = {}
        self._of_stdout, self._of_stderr = self._thread_of(sys.stdout), self._thread_of(sys.stderr)
        sys.stdout = _stream(self._of_stdout, sys.stdout)
        sys.stderr = _stream(self._of_stderr, sys.stderr)

    def is_heard(self) -> bool:
        """Whether all that was printed was taken, or may still be by whoever takes what goes to standard error."""
        return self._of_stdout is None or self._of_stdout.drained() or self._of_stdout is self._of_stderr

    def close(self) -> None:
        """Put both back, once all is taken that is.

        What takes nothing is cut off from this process: the interpreter writes once more as it ends, and would wait.
        """
        sys.stdout, sys.stderr = self._before
        for thread, stream in zip((self._of_stdout, self._of_stderr), self._before, strict=True):
            if thread is not None and stream is not None and not thread.drained():
                _lead_nowhere(stream)
            drop_unwritten(stream)
        for thread in self._threads.values():
            thread.end()

    def _thread_of(self, stream: TextIO | None) -> OutputThread | None:
        try:
            descriptor = stream.fileno() if stream is not None else -1
            state = os.fstat(descriptor)
        except (OSError, ValueError):
            return None
        key = (state.st_dev, state.st_ino)
        if key not in self._threads:
            self._threads[key] = OutputThread(descriptor)
        return self._threads[key]


def run_unblocked(program: Callable[[], int]) -> NoReturn:
    """End this process with the exit code of `program`, which nobody holds up who does not take what it prints."""
    output = UnblockedOutput()
    try:
        sys.exit(program())
    finally:
        output.close()


def _stream(thread: OutputThread | None, before: TextIO) -> TextIO:
    if thread is None:
        return before
    below = _Bytes(thread, before.fileno())
    return io.TextIOWrapper(cast("BinaryIO", below), before.encoding, before.errors, write_through=True)


def drop_unwritten(stream: TextIO | None) -> None:
    """Drop what `stream` still holds if nobody takes it: it must not cost a process its exit code."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        _lead_nowhere(stream)
        with suppress(OSError, ValueError):
            stream.flush()


def _lead_nowhere(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
