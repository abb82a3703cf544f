"""The programs that are measured, run as a user runs them: whole processes, from start to exit."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import BenchmarkError
from reports.record_file import read
from verification.local_sandbox.sandbox import Sandbox, own_sandbox
from verification.records.run_record import RunRecord

ROOT = Path(__file__).parent.parent

_RUN_WITHIN = 120.0
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
class PhaseRun:
    """A verification run that ended: its process, the folder of its files, and its record."""

    process: Ended
    folder: Path
    record: RunRecord


def run_phase(
    phase: str,
    environment: str,
    output: Path,
    *options: str,
    variables: Mapping[str, str] | None = None,
    codes: Sequence[int] = (0,),
) -> PhaseRun:
    """`pytest -m PHASE --env ENVIRONMENT`, which must exit with one of `codes`; its files land below `output`."""
    # With "=": pytest takes a bare path after an option that it does not know yet for where its own settings are.
    command = pytest("-m", phase, "--env", environment, f"--output={output}", *options)
    process = run(command, variables=variables).must_be(*codes)
    folder = output / "latest"
    return PhaseRun(process, folder, read(folder / "record.json"))


def sandbox(*options: str) -> AbstractContextManager[Sandbox]:
    """A sandbox of our own, which ends with the block. Raises SettingsError when it does not get ready."""
    return own_sandbox(*options, variables=environment({}))
