"""The record of one run: what was asked, what came of it, and what was done about it.

`conftest.py` fills it, `reports` shows it, `rollback` reads the failures from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from verification.deadline import now
from verification.verdict import Measurement, Verdict

POST_DEPLOY_PHASES = frozenset({"deploy", "smoke", "monitor"})
PHASES = ("pre", "deploy", "smoke", "monitor", "followup")


class ExitCode(IntEnum):
    """Exit codes of a run; pytest's own (2 interrupted, 3 internal, 4 usage, 5 none collected) keep their meaning."""

    PASS = 0
    FAIL = 1
    ROLLBACK_FAILED = 70
    INCONCLUSIVE = 75


class RollbackOutcome(StrEnum):
    """What became of production after the run."""

    NOT_NEEDED = "not needed"
    DONE = "done"
    FAILED = "failed"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One criterion's answer. `title` is its checklist line; `fixable_by_rollback`: another revision might be good."""

    id: str
    title: str
    phase: str
    verdict: Verdict
    measurements: tuple[Measurement, ...] = ()
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0
    fixable_by_rollback: bool = True
    ended: datetime | None = None  # when the verdict was known

    @property
    def name(self) -> str:
        """The id without the role that it was asked about: `login` of `login[staging]`."""
        return self.id.partition("[")[0]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened in a run, and when; `failed` where it is a criterion that failed."""

    at: datetime
    text: str
    failed: bool = False


class Standing(StrEnum):
    """What the evidence says of a point."""

    HOLDS = "yes"
    FAILS = "no"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known, and under which name: a criterion's id, a moment, or whoever tells it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """One thing that must be known before production moves, and what it is known from.

    Where it kept production from moving: the code of the guard that said so (empty: none did), its reason, and what a
    person can do.
    """

    claim: str
    standing: Standing
    evidence: tuple[Evidence, ...] = ()
    guard: str = ""
    reason: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """What a rollback did. `seconds` is from its start to the shifted traffic; `next_step` is what a person must do."""

    outcome: RollbackOutcome
    triggers: tuple[str, ...] = ()
    strategy: str = ""
    from_revision: str = ""
    to_revision: str = ""
    seconds: float | None = None
    verified: bool | None = None
    helped: bool = True  # False: what failed still fails on the revision that was gone back to
    reason: str = ""
    next_step: str = ""
    checks: tuple[Measurement, ...] = ()  # the verification afterwards: health, serving revision
    guard: str = ""  # the code of the guard that decided it; empty: none did, as where the traffic was moved


@dataclass(slots=True)
class RunRecord:
    """All of one run, filled as it goes."""

    environment: str
    phases: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    service: str = ""
    target: str = ""  # the address under verification
    revision: str = ""
    previous_revision: str = ""
    commit: str = ""
    deployed: datetime | None = None  # when the revision was created
    dry_run: bool = False
    started: datetime = field(default_factory=now)
    finished: datetime | None = None
    criteria_selected: int = 0
    criteria_in_phase: int = 0
    criteria_by_phase: dict[str, int] = field(default_factory=dict)  # how many each phase has
    not_configured: dict[str, str] = field(default_factory=dict)  # criterion -> the section that is missing
    not_asked: dict[str, str] = field(default_factory=dict)  # criterion -> why this run does not ask it
    # Selected criteria of a phase after the deployment that the run ended before (`-x`, Ctrl-C).
    unasked: tuple[str, ...] = ()
    criteria: list[CriterionResult] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # what a reader must know, such as "no rollback is possible: ..."
    interrupted: str = ""  # why the run ended early, if it did
    rollback: RollbackResult = field(default_factory=lambda: RollbackResult(RollbackOutcome.NOT_NEEDED))
    called: list[str] = field(default_factory=list)  # who was told of the rollback, and who could not be
    timeline: list[TimelineEntry] = field(default_factory=list)  # from the start to the end, once it has ended
    why: tuple[EvidencePoint, ...] = ()  # why production moved, or why it did not, once the run has ended

    @property
    def failures(self) -> list[CriterionResult]:
        """The criteria that were measured and found bad."""
        return [result for result in self.criteria if result.verdict is Verdict.FAIL]

    @property
    def triggers(self) -> tuple[str, ...]:
        """The failed post-deploy criteria that another revision could mend: the reasons for a rollback."""
        failures = (result for result in self.failures if result.phase in POST_DEPLOY_PHASES)
        return tuple(result.id for result in failures if result.fixable_by_rollback)

    @property
    def left_out(self) -> int:
        """How many criteria of the phases were not run (`-k`, `--deselect`, a file named, an early end)."""
        return max(self.criteria_in_phase - len(self.criteria), 0)

    @property
    def verdict(self) -> Verdict:
        """Fail when anything failed; pass only when every criterion of the phases was measured and good."""
        return self._verdict([result.verdict for result in self.criteria], self.criteria_in_phase)

    def verdict_of(self, phase: str) -> Verdict:
        """The same for one of the phases."""
        verdicts = [result.verdict for result in self.criteria if result.phase == phase]
        return self._verdict(verdicts, self.criteria_by_phase.get(phase, 0))

    def _verdict(self, verdicts: list[Verdict], expected: int) -> Verdict:
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        complete = verdicts and len(verdicts) >= expected and not self.interrupted
        return Verdict.PASS if complete and set(verdicts) == {Verdict.PASS} else Verdict.INCONCLUSIVE

    def exit_code_after(self, exitstatus: int) -> int:
        """Our verdict's code, unless pytest has something to say (`exitstatus`) that a verdict does not cover."""
        if self.failures or self.exit_code is ExitCode.ROLLBACK_FAILED:
            return self.exit_code
        return self.exit_code if exitstatus in {0, 1} else exitstatus

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that the verdict and the rollback call for."""
        if self.rollback.outcome is RollbackOutcome.FAILED or self.rollback.verified is False:
            return ExitCode.ROLLBACK_FAILED
        return ExitCode[self.verdict.name]
