"""The programs that are measured, run as a user runs them: whole processes, from start to exit."""

from __future__ import annotations

import os
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import BenchmarkError
from verification.local_sandbox.addresses import Addresses

ROOT = Path(__file__).parent.parent

_RUN_WITHIN = 120.0
_SANDBOX_WITHIN = 30.0
# Without bytecode every start compiles everything anew; most people's do not. PYTEST_ADDOPTS and SANDBOX would
# make other runs of ours, and a variable that names the previous revision would not be true here.
_DROPPED = {"PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS", "SANDBOX", "PREVIOUS_REVISION"}


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended: wall and processor time in seconds, and everything that it printed."""

    wall: float
    processor: float
    code: int
    output: str

    def must_be(self, *codes: int) -> Ended:
        """Raise BenchmarkError unless the exit code is one of `codes`: a run that went otherwise measures nothing."""
        if self.code not in codes:
            raise BenchmarkError(f"exit code {self.code}, expected {' or '.join(map(str, codes))}:\n{self.output}")
        return self


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment as a measured program gets it, with `more`."""
    return {**{name: value for name, value in os.environ.items() if name not in _DROPPED}, **more}


def run(command: Sequence[str], *, folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> Ended:
    """Run `command` to its end, with nothing else of ours beside it. Raises BenchmarkError after two minutes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_RUN_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{' '.join(command)}: not done within {_RUN_WITHIN:g} s") from None
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(wall, processor, done.returncode, done.stdout.decode(errors="replace"))


def pytest(*arguments: str) -> list[str]:
    """The command that runs pytest in this interpreter's environment."""
    return [sys.executable, "-m", "pytest", *arguments]


@dataclass(frozen=True, slots=True)
class Started:
    """A sandbox that runs, and how long it took from process start to its address line, in seconds."""

    addresses: Addresses
    seconds: float


@contextmanager
def sandbox(*arguments: str) -> Iterator[Started]:
    """A sandbox of our own, which ends with the block. Raises BenchmarkError when it is not ready within 30 s."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--with-parent", str(os.getpid()), *arguments],
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        line = _first_line(process, began + _SANDBOX_WITHIN)
        seconds = time.monotonic() - began
        yield Started(Addresses.model_validate_json(line), seconds)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_line(process: subprocess.Popen[bytes], until: float) -> bytes:
    assert process.stdout is not None
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(until - time.monotonic(), 0)):
                raise BenchmarkError(f"the sandbox was not ready within {_SANDBOX_WITHIN:g} s")
            chunk = os.read(process.stdout.fileno(), 65_536)
            if not chunk:
                raise BenchmarkError("the sandbox ended before it was ready; its complaint stands above")
            line += chunk
    return line
