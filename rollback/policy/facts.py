"""What a decision goes by, and what it may come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rollback.serving_history import PastRevisions
from rollback.traffic import TrafficSplit
from verification.operator_commands import roll_back
from verification.records.rollback_plan import RequestedBy, RollbackPlan
from verification.settings.service import CloudRunSettings


class Action(StrEnum):
    """What is to be done next. The first four gather a fact, the others end the deciding."""

    TAKE_LOCK = "take the lock"
    OBSERVE_TRAFFIC = "observe the traffic"
    CHECK_TARGET = "check the target"
    ASK_CONTROL = "ask the control"
    NOTHING = "nothing"
    WITHHOLD = "withhold"
    FAIL = "fail"
    VERIFY = "verify"  # the traffic has moved already
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, the code of the guard that says so (empty for a shift), why, and what a person can do."""

    action: Action
    guard: str = ""
    reason: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class TargetState:
    """The revision to go back to, as Cloud Run has it now."""

    exists: bool
    ready: bool
    problem: str = ""


class ControlVerdict(StrEnum):
    """Whether the revision from before answers better what has failed."""

    BETTER = "better"
    NO_BETTER = "no better"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What the revision from before answered to the questions that had failed; `reason` has its answers, counted."""

    verdict: ControlVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision goes by. None: not gathered yet."""

    plan: RollbackPlan
    triggers: tuple[str, ...]
    environment: str
    service: CloudRunSettings
    policy: str  # rollback.policy
    allowed: bool  # no --no-rollback
    dry_run: bool
    deployed_within: float  # seconds: an older revision is no new release
    at: datetime
    past: PastRevisions
    holds_lock: bool | None = None
    traffic: TrafficSplit | None = None
    target: TargetState | None = None
    control: ControlResult | None = None
    when_previous_no_better: str = "hold"
    failed_before: frozenset[str] = frozenset()  # what the pre phase saw fail already, of the revision from before

    @property
    def automatic(self) -> bool:
        """Whether no person has asked for it."""
        return self.plan.requested_by is RequestedBy.FAILURE

    @property
    def command(self) -> str:
        """The command by which a person does it."""
        return f"`{roll_back(self.environment, self.plan.target)}`"


Guard = Callable[[Facts], Decision | None]


def withheld(guard: str, reason: str, next_step: str) -> Decision:
    """The decision of a guard that leaves production as it is."""
    return Decision(Action.WITHHOLD, guard, reason, next_step)
