"""One look at a release whose verification was cut off: the smoke phase, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rollback.supervisor.pending import Left, journal_of
from rollback.supervisor.start import SUPERVISED
from verification.records.run_record import RollbackOutcome, RollbackResult

_ROOT = Path(__file__).parents[2]
_ENDS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: `left` is the smoke run's journal, if it wrote one."""

    passed: bool
    said: str
    left: Left | None
    result: RollbackResult

    @property
    def blind(self) -> bool:
        """Whether the release failed, and stayed because the smoke run itself never knew what serves."""
        unmoved = self.result.outcome in {RollbackOutcome.FAILED, RollbackOutcome.WITHHELD}
        return self.left is not None and unmoved and bool(self.left.triggers) and not self.left.known.revision

    @property
    def told_by(self) -> str:
        """The smoke run's name, if it has told people what it did, or will."""
        return self.left.folder.name if self.left is not None and self.left.calls else ""


def looked_at(cut_off: Left, environment: str, deployment: Path, output: Path, within: float) -> Look:
    """Run the smoke phase once, for `within` seconds at most, on what was `cut_off`. It rolls back if it fails."""
    known = cut_off.known
    command = [sys.executable, "-m", "pytest", "-m", "smoke", "--env", environment]
    command += ["--deployment", str(deployment), "--output", str(output)]
    command += ["--revision", known.revision] if known.revision else []
    command += ["--previous-revision", known.previous] if known.previous else []
    command += [] if cut_off.allowed else ["--no-rollback"]
    command += ["--dry-run"] if cut_off.dry_run else []
    log = cut_off.folder / "smoke-afterwards.log"
    pid, code = _run(command, log, within)
    left = journal_of(output, environment, pid)
    settled = left.settled if left is not None else None
    outcome = RollbackOutcome(settled.text("outcome")) if settled is not None else RollbackOutcome.NOT_NEEDED
    result = RollbackResult(
        outcome,
        left.triggers if left is not None else (),
        from_revision=known.revision,
        to_revision=known.previous,
        verified=settled.fields.get("verified") is True if settled and outcome is RollbackOutcome.DONE else None,
        reason=settled.text("reason") if settled is not None else "",
        next_step=settled.text("next_step") if settled is not None else "",
    )
    name = left.folder.name if left is not None else f"see {log.name}"
    return Look(code == 0, f"one smoke run afterwards ended with exit code {code} ({name})", left, result)


def _run(command: list[str], log: Path, within: float) -> tuple[int, int]:
    """The process's number and exit code; one that does not end is asked to, then made to."""
    with _opened(log) as out:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, SUPERVISED: "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        for end, seconds in ((process.terminate, within), (process.kill, _ENDS_WITHIN)):
            with suppress(subprocess.TimeoutExpired):
                return process.pid, process.wait(seconds)
            end()
        return process.pid, process.wait()


def _opened(log: Path) -> BinaryIO:
    try:
        return log.open("wb")
    except OSError:  # a full disk keeps nobody from looking
        return Path(os.devnull).open("wb")
