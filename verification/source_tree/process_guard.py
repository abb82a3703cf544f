"""Wrapper that ends a command's whole process tree with it: `python process_guard.py TOKEN GRACE COMMAND...`.

A program of its own, which imports nothing of this package. It starts COMMAND in a session of its own and ends when
COMMAND ends, with its exit code (128 + n for signal n, 126 when it cannot be started). Whoever started the guard holds
the other end of its standard input: when that closes, because it lets go or because it died, the whole tree is ended.
Members of the tree are known by their process group and by the variable VERIFICATION_COMMAND=TOKEN, which a process
that leaves the group still carries.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

MARK = "VERIFICATION_COMMAND"
NOT_STARTED = 126

_POLL_SECONDS = 0.02
_NICE = 10  # other questions are timed meanwhile, on this machine


def end_tree(token: str, group: int | None, grace: float) -> None:
    """Send SIGTERM to the process tree, and after `grace` seconds SIGKILL."""
    _send(signal.SIGTERM, token, group)
    over_at = time.monotonic() + grace
    while time.monotonic() < over_at:
        if not _alive(token, group):
            return
        time.sleep(_POLL_SECONDS)
    _send(signal.SIGKILL, token, group)


def _marked(token: str) -> list[int]:
    """The processes that carry `token`, except this one; those of other users are not seen."""
    import psutil

    return [
        process.pid
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(MARK) == token and process.pid != os.getpid()
    ]


def _send(number: signal.Signals, token: str, group: int | None) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group is not None:
            os.killpg(group, number)
    for pid in _marked(token):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _alive(token: str, group: int | None) -> bool:
    if group is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: the latter, of a group of zombies
            os.killpg(group, 0)
            return True
    return bool(_marked(token))


def _main(token: str, grace: float, command: list[str]) -> int:
    os.nice(_NICE)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, MARK: token},
            start_new_session=True,
        )
    except OSError as error:
        print(f"{command[0]} could not be started: {error.strerror}", file=sys.stderr, flush=True)
        return NOT_STARTED

    def end() -> NoReturn:
        # The main thread's wait() takes the child's body away meanwhile, so that its group is seen to be gone.
        end_tree(token, child.pid, grace)
        os._exit(128 + signal.SIGTERM)

    def watch() -> None:
        while os.read(0, 1):
            pass
        end()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=end).start()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGHUP, on_signal)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    end_tree(token, child.pid, grace)  # what it left running in the background
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
