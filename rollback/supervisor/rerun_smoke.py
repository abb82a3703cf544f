"""One smoke run on a release whose verification was cut off, in a process of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from rollback.notify.outbox import queued_calls
from rollback.supervisor.start import SUPERVISED
from verification.records.journal import JournalView, journals
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult

_ROOT = Path(__file__).parents[2]
_ENDS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class SmokeRerun:
    """What the smoke run came to: `journal` is its journal, if it wrote one."""

    passed: bool
    text: str
    journal: JournalView | None
    result: RollbackResult

    @property
    def blind(self) -> bool:
        """Whether the release failed, and stayed because the smoke run itself never knew what serves."""
        unmoved = self.result.outcome in {RollbackOutcome.FAILED, RollbackOutcome.WITHHELD}
        plan = self.journal.plan if self.journal else None
        return unmoved and self.journal is not None and bool(self.journal.triggers) and not (plan and plan.revision)

    @property
    def told_by(self) -> str:
        """The smoke run's name, if it has told people what it did, or will."""
        return self.journal.run if self.journal is not None and queued_calls(self.journal) else ""


def rerun_smoke(cut_off: JournalView, environment: str, deployment: Path, output: Path, within: float) -> SmokeRerun:
    """Run the smoke phase once, for `within` seconds at most, on what was `cut_off`. It rolls back if it fails."""
    plan, token = cut_off.plan or RollbackPlan(), secrets.token_hex(8)
    # Paths stay within their options: a word of its own would be taken for a test's path, and decides the rootdir.
    command = [sys.executable, "-m", "pytest", "-m", "smoke", f"--env={environment}"]
    command += [f"--deployment={deployment}", f"--output={output}"]
    command += [f"--revision={plan.revision}"] if plan.revision else []
    command += [f"--previous-revision={plan.target}"] if plan.target else []
    command += [] if cut_off.identity.allowed else ["--no-rollback"]
    command += ["--dry-run"] if cut_off.identity.dry_run else []
    log = cut_off.path.with_name("smoke-afterwards.log")
    code = _run(command, token, log, within)
    journal = next((view for view in journals(output, environment) if view.identity.token == token), None)
    result = (journal.result if journal else None) or RollbackResult(RollbackOutcome.NOT_NEEDED)
    result = replace(
        result,
        triggers=journal.triggers if journal else (),
        from_revision=result.from_revision or plan.revision,
        to_revision=result.to_revision or plan.target,
    )
    name = journal.run if journal is not None else f"see {log.name}"
    text = f"one smoke run afterwards ended with exit code {code} ({name})"
    return SmokeRerun(code == 0, text, journal, result)


def _run(command: list[str], token: str, log: Path, within: float) -> int:
    """The exit code; a process that does not end is asked to, then made to."""
    with _opened(log) as out:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, SUPERVISED: token},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        for end, seconds in ((process.terminate, within), (process.kill, _ENDS_WITHIN)):
            with suppress(subprocess.TimeoutExpired):
                return process.wait(seconds)
            end()
        return process.wait()


def _opened(log: Path) -> BinaryIO:
    try:
        return log.open("wb")
    except OSError:  # a full disk keeps nobody from looking
        return Path(os.devnull).open("wb")
