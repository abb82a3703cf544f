"""The arena of the blame matrix: plays a case in a sandbox, looks at what is left, and says which harm was done."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchmarks.blame.cases import Case, Row
from benchmarks.blame.relay import relay_to
from benchmarks.blame.stage import Run, Scene, Stage
from benchmarks.blame.world import World
from benchmarks.matrix import FEW_USERS, USERS, CaseResult, harms_done, play_side_by_side
from reports.verdict_file import VerdictFile
from verification.records.jsonl import read_lines
from verification.records.run_record import RollbackOutcome

# What should not be after a run. None may ever happen.
HARMS = (
    "healthy rolled back",
    "left bad and nobody told",
    "moved to a revision that is known to be bad",
    "somebody else's revision or service moved",
    "verified although it still fails",
    "passed although nobody knows what was asked",
    "a tag left behind and nobody told",
    "verdict missing",
)


class Arena:
    """A sandbox that plays case after case, and in `folder` what the runs leave behind."""

    def __init__(self, world: World, folder: Path, start: type[subprocess.Popen[bytes]]) -> None:
        self._world = world
        self._folder = folder
        self._start = start

    def play(self, case: Case) -> CaseResult:
        """Set the stage, run, and look at what is left. Raises BenchmarkError for a run that does not end."""
        world = self._world
        with relay_to(world.url) as service, relay_to(world.api) as api:
            stage = Stage(world, self._folder, case, service, api, self._start)
            scene = stage.set()
            calls, moves = world.calls(), world.moves("staging")
            run, said = stage.play(scene)
            verdict = _verdict(run.folders)
            asked_at = stage.where.url
            failing = [name for name in _triggers(verdict) if world.still_fails(name, asked_at, case)]
        world.sandbox.plant(())
        left = _Left(
            scene,
            run,
            verdict,
            serving=frozenset(world.serving()),
            tags=frozenset(world.tags()),
            called=world.calls() > calls,
            others_moved=world.moves("staging") > moves,
            hotfix=stage.hotfix,
            still_failing=tuple(failing),
        )
        harms = harms_done(HARMS, left.happened(case))
        return CaseResult(case, harms, left.ending(case), f"{said}\n{left.summary(case)}")


@dataclass(frozen=True, slots=True)
class _Left:
    """What was seen from outside once a run was over."""

    scene: Scene
    run: Run
    verdict: VerdictFile | None
    serving: frozenset[str]
    tags: frozenset[str]
    called: bool
    others_moved: bool
    hotfix: str
    still_failing: tuple[str, ...]

    @property
    def current(self) -> str:
        """What serves unless somebody moves it."""
        return self.hotfix or self.scene.judged

    @property
    def report(self) -> str:
        """What the run says for a ticket."""
        return "\n".join(line for folder in self.run.folders for line in read_lines(folder / "summary.md"))

    @property
    def told(self) -> bool:
        """Whether somebody knows: called, or by a bad exit code and a report with the command."""
        return self.called or (self.run.process.returncode != 0 and "--to-revision" in self.report)

    def happened(self, case: Case) -> tuple[bool, ...]:
        """Which of `HARMS` did."""
        rollback = self.verdict.rollback if self.verdict else None
        moved = self.serving != {self.current}
        overtaken = bool(self.hotfix) and self.verdict is not None and self.verdict.revision != self.hotfix
        return (
            not case.bad and moved,
            case.bad and not moved and not self.told,
            moved and bool(self.serving & self.scene.known_bad),
            self.others_moved or (overtaken and moved),
            rollback is not None and rollback.verified is True and bool(self.still_failing),
            case.row is Row.UNSEEN and self.run.process.returncode == 0,
            bool(self.tags) and "--remove-tags" not in self.report,
            self.verdict is None,
        )

    def ending(self, case: Case) -> str:
        """How it ended, in words."""
        people = "people called" if self.called else "told by the report" if self.told else "no call"
        if self.verdict is None:
            return f"{_release(case)}: no verdict, {people}"
        rollback = self.verdict.rollback
        what = f"{rollback.outcome}{f' ({rollback.guard})' if rollback.guard else ''}"
        if rollback.outcome is RollbackOutcome.DONE:
            what = f"rolled back, {'verified' if rollback.verified else 'not verified'}"
        return f"{_release(case)}: {self.verdict.verdict}, {what}, {people}"

    def summary(self, case: Case) -> str:
        """What was seen, for who looks into a harm."""
        return (
            f"seen from outside: serving {', '.join(sorted(self.serving))}; judged {self.scene.judged}; previous "
            f"{self.scene.previous}; known to be bad {', '.join(self.scene.known_bad) or 'none'}; hotfix "
            f"{self.hotfix or 'none'}; tags {', '.join(self.tags) or 'none'}; still failing "
            f"{', '.join(self.still_failing) or 'nothing'}\n{case!r}"
        )


def _release(case: Case) -> str:
    return "bad" if case.bad else "healthy"


def _verdict(folders: Sequence[Path]) -> VerdictFile | None:
    found = [folder / "verdict.json" for folder in folders]
    try:
        verdict = VerdictFile.model_validate_json(found[-1].read_text(encoding="utf-8"))
    except (OSError, IndexError, ValidationError):
        return None
    return verdict if verdict.finished else None


def _triggers(verdict: VerdictFile | None) -> tuple[str, ...]:
    return verdict.rollback.triggers if verdict else ()


def play_all(
    cases: Sequence[Case], lanes: int, start: type[subprocess.Popen[bytes]] = subprocess.Popen
) -> Iterator[CaseResult]:
    """Play all cases in `lanes` sandboxes side by side, each run by `start`; as they end. Raises BenchmarkError."""
    users = USERS if any(case.phase == "monitor" for case in cases) else FEW_USERS
    return play_side_by_side(cases, lanes, lambda sandbox, folder: Arena(World(sandbox), folder, start), *users)
