"""Where a rollback is decided: `decide(facts)` goes through `GUARDS`, in order, and the first that speaks decides.

Pure: nothing is asked and nothing is done here. A guard that needs a fact which nobody has gathered yet answers with
the action that gathers it (`Action.TAKE_LOCK`, `OBSERVE_TRAFFIC`, `CHECK_TARGET`); `executor` does so and asks again. A
guard's function name is its code, in the journal and in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rollback.serving_history import PastRevisions
from rollback.traffic import TrafficSplit
from verification.operator_commands import follow_latest, roll_back, status
from verification.records.rollback_plan import RequestedBy, RollbackPlan
from verification.settings.service import CloudRunSettings
from verification.settings.units import duration_text

_CLOCK_TOLERANCE = 300.0  # seconds by which this machine's clock may be behind Cloud Run's


class Action(StrEnum):
    """What is to be done next. The first three gather a fact, the others end the deciding."""

    TAKE_LOCK = "take the lock"
    OBSERVE_TRAFFIC = "observe the traffic"
    CHECK_TARGET = "check the target"
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

    @property
    def automatic(self) -> bool:
        """Whether no person has asked for it."""
        return self.plan.requested_by is RequestedBy.FAILURE

    @property
    def command(self) -> str:
        """The command by which a person does it."""
        return f"`{roll_back(self.environment, self.plan.target)}`"


Guard = Callable[[Facts], Decision | None]


def decide(facts: Facts) -> Decision:
    """What is to be done, given these facts."""
    return next((decision for guard in GUARDS if (decision := guard(facts))), Decision(Action.SHIFT))


def foreseeable(facts: Facts) -> list[Decision]:
    """Every guard that would withhold the rollback for what is known before anything has failed."""
    facts = replace(facts, allowed=True, dry_run=False, holds_lock=None, traffic=None, target=None)
    found = [decision for guard in GUARDS if (decision := guard(facts)) and decision.action is Action.WITHHOLD]
    # Where what serves is not clear, nobody has looked for what served before.
    looked = bool(facts.plan.obstacle("target_unknown"))
    return [decision for decision in found if looked or decision.guard != "target_unknown"]


def nothing_failed(facts: Facts) -> Decision | None:
    """No criterion failed after a deployment in a way that another revision would mend, and nobody asks for it."""
    return Decision(Action.NOTHING, "nothing_failed") if facts.automatic and not facts.triggers else None


def not_allowed(facts: Facts) -> Decision | None:
    """The run was started with --no-rollback."""
    if facts.allowed or not facts.automatic:
        return None
    return _withheld("not_allowed", "--no-rollback was given", f"To roll back: {facts.command}")


def policy_is_manual(facts: Facts) -> Decision | None:
    """The setting leaves it to a person."""
    if facts.policy == "automatic" or not facts.automatic:
        return None
    reason = f'rollback.policy of {facts.environment} is "{facts.policy}": a person decides'
    return _withheld("policy_is_manual", reason, f"To roll back: {facts.command}")


def another_rollback(facts: Facts) -> Decision | None:
    """One at a time on this machine."""
    if facts.holds_lock is None:
        return Decision(Action.TAKE_LOCK, "another_rollback")
    if facts.holds_lock:
        return None
    return _withheld(
        "another_rollback",
        f"another rollback of {facts.service.service} is running on this machine",
        "Wait for it to end, then look at what serves.",
    )


def target_serves_already(facts: Facts) -> Decision | None:
    """Twice is the same as once: nothing is written, and what serves is verified."""
    if facts.traffic is None:
        return Decision(Action.OBSERVE_TRAFFIC, "target_serves_already")
    if not facts.plan.target or facts.traffic.sole_revision != facts.plan.target:
        return None
    reason = f"{facts.plan.target} served all traffic already: nothing was written"
    return Decision(Action.VERIFY, "target_serves_already", reason)


def serving_unknown(facts: Facts) -> Decision | None:
    """Nobody could tell what served when the run began."""
    if facts.plan.shares or not facts.automatic:
        return None
    obstacle = facts.plan.obstacle("serving_unknown")
    reason = obstacle.text if obstacle else "what serves was never looked at"
    return _withheld("serving_unknown", reason, f"To roll back: {facts.command}")


def traffic_split(facts: Facts) -> Decision | None:
    """Several revisions served: any may be at fault."""
    if not facts.plan.shares or facts.plan.revision or not facts.automatic:
        return None
    split = TrafficSplit(facts.plan.shares, "Cloud Run").text
    reason = f"the traffic is split ({split}): which revision would be at fault is not known"
    return _withheld("traffic_split", reason, f"To roll back: {facts.command}")


def service_was_changing(facts: Facts) -> Decision | None:
    """The questions were asked while a change was under way: what failed may be the revision from before."""
    obstacle = facts.plan.obstacle("service_was_changing")
    if obstacle is None or not facts.automatic:
        return None
    return _withheld("service_was_changing", obstacle.text, f"To roll back: {facts.command}")


def not_the_deployed_revision(facts: Facts) -> Decision | None:
    """What fails is another revision than the one whose deployment is judged."""
    plan = facts.plan
    if not facts.automatic or not plan.deployed or not plan.revision or plan.deployed == plan.revision:
        return None
    reason = (
        f"{plan.deployed} was deployed, but {plan.revision} serves, so what fails is not the new revision's fault "
        f"(if the traffic is pinned, `{follow_latest(facts.service)}` lets it follow deployments)"
    )
    return _withheld("not_the_deployed_revision", reason, f"To roll back all the same: {facts.command}")


def target_unknown(facts: Facts) -> Decision | None:
    """Nobody knows which revision served before."""
    if facts.plan.target:
        return None
    obstacle = facts.plan.obstacle("target_unknown")
    reason = obstacle.text if obstacle else "what served before is not known"
    return _withheld("target_unknown", reason, f"To roll back: {facts.command}")


def release_too_old(facts: Facts) -> Decision | None:
    """What fails has served for long: it is no new release, and going back may not help."""
    if not facts.automatic or not facts.plan.revision:
        return None
    created, limit = facts.plan.created, facts.deployed_within
    if created is None:
        reason = "when the serving revision was created is not known"
    elif (facts.at - created).total_seconds() < -_CLOCK_TOLERANCE:
        reason = (
            f"the clock of this machine is wrong: by it the serving revision, created {created:%Y-%m-%d %H:%M} UTC, "
            "does not exist yet, so whether it is a new release is not known"
        )
    elif (facts.at - created).total_seconds() > limit:
        reason = (
            f"the serving revision was created {created:%Y-%m-%d %H:%M} UTC, longer ago than rollback.deployed_within "
            f"({duration_text(limit)}): that is no new release"
        )
    else:
        return None
    return _withheld("release_too_old", reason, f"To roll back all the same: {facts.command}")


def already_rolled_back(facts: Facts) -> Decision | None:
    """What serves does so because of a rollback: no further back without a person."""
    undone = facts.past.rolled_back_for(facts.plan.revision) if facts.automatic and facts.plan.revision else None
    if undone is None:
        return None
    reason = (
        f"{facts.plan.revision} serves because {undone.revision} was rolled back "
        f"{undone.observed_at:%Y-%m-%d %H:%M} UTC: no further back without a person"
    )
    return _withheld("already_rolled_back", reason, f"To roll back all the same: {facts.command}")


def change_under_way(facts: Facts) -> Decision | None:
    """Somebody else's change does not end: what it will come to is not known."""
    traffic = facts.traffic
    if traffic is None or not traffic.moving or traffic.requested == facts.plan.target:
        return None
    reason = f"a change that is not ours is under way, and does not end ({traffic.source})"
    return Decision(Action.FAIL, "change_under_way", reason, _look_first(facts))


def traffic_changed(facts: Facts) -> Decision | None:
    """What serves must be what was judged: whoever changed it meanwhile knows something that we do not."""
    traffic, plan = facts.traffic, facts.plan
    if traffic is None or traffic.shares == plan.shares:
        return None
    reason = (
        f"the traffic has changed since it was judged: {plan.source} served then, "
        f"now it is {traffic.text} ({traffic.source})"
    )
    return _withheld("traffic_changed", reason, _look_first(facts))


def target_not_ready(facts: Facts) -> Decision | None:
    """The target must exist and be Ready. With Cloud Run's API silent it was when the run began, which must do."""
    if facts.traffic is not None and facts.traffic.silence:
        return None
    if facts.target is None:
        return Decision(Action.CHECK_TARGET, "target_not_ready")
    if facts.target.ready:
        return None
    why = f"is not Ready any more: {facts.target.problem or 'no reason given'}"
    reason = f"{facts.plan.target}, which served before, {why if facts.target.exists else 'does not exist any more'}"
    return _withheld("target_not_ready", reason, f"Choose another one: `{roll_back(facts.environment)}`")


def dry_run(facts: Facts) -> Decision | None:
    """The last guard: everything but the write."""
    if not facts.dry_run:
        return None
    plan = facts.plan
    reason = f"dry run: would send all traffic from {plan.source} to {plan.target} ({plan.evidence})"
    return _withheld("dry_run", reason, f"To do it: {facts.command}")


GUARDS: tuple[Guard, ...] = (
    nothing_failed,
    not_allowed,
    policy_is_manual,
    another_rollback,
    target_serves_already,
    serving_unknown,
    traffic_split,
    service_was_changing,
    not_the_deployed_revision,
    target_unknown,
    release_too_old,
    already_rolled_back,
    change_under_way,
    traffic_changed,
    target_not_ready,
    dry_run,
)


def _withheld(guard: str, reason: str, next_step: str) -> Decision:
    return Decision(Action.WITHHOLD, guard, reason, next_step)


def _look_first(facts: Facts) -> str:
    return f"Look at `{status(facts.environment)}`; to roll back all the same: {facts.command}"
