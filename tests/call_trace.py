"""Which files a failing criterion passes on its way to shifted traffic: `python -m tests.call_trace`.

Plays the smoke phase in a sandbox whose login is broken, and follows the calls of the main thread from the end of the
criterion `login` to the journal's line that the traffic has shifted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from rollback.supervisor.start import SUPERVISED

ROOT = Path(__file__).parents[1]
_OWN = ("conftest.py", "verification/", "smoke/", "rollback/")
# What pytest and pytest-html ask meanwhile, for report, log and terminal: nothing of it is on the way.
_ASIDE = ("reports/", "verification/logger_iteration.py", "verification/output.py")
_FIRST_INSTRUCTIONS = 10  # bytes of code: a generator that goes on behind them is called by nobody


class CallTrace:
    """Collects the project's files in which a function was called, each once, in the order of the calls."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.shifted = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Begin as the criterion ends."""
        try:
            yield
        finally:
            if item.name == "test_login":
                sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or self.shifted or frame.f_lasti > _FIRST_INSTRUCTIONS:
            return
        name = _relative(frame)
        if name.startswith(_OWN) and name not in self.files and not _is_aside(frame):
            self.files.append(name)
        if frame.f_code.co_name == "write" and frame.f_locals.get("event") == "shifted":
            self.shifted = True


def _is_aside(frame: FrameType) -> bool:
    caller: FrameType | None = frame
    while caller is not None and not _relative(caller).startswith(_ASIDE):
        caller = caller.f_back
    return caller is not None


def _relative(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def trace(output: Path) -> CallTrace:
    """The trace of one run, whose files land below `output`."""
    found = CallTrace()
    os.environ[SUPERVISED] = "trace"  # else the run's supervisor looks for files that are gone by then
    arguments = ["-m", "smoke", "-k", "test_login", "--env=sandbox", "--fault=login-broken", f"--output={output}"]
    try:
        pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *arguments], plugins=[found])
    finally:
        sys.setprofile(None)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        result = trace(Path(folder))
    print("\n".join(result.files), f"{len(result.files)} files", sep="\n")
    sys.exit(not result.shifted)
