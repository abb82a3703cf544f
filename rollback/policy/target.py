"""Guards: whether there is a revision to go back to, and whether the traffic is still what was judged."""

from __future__ import annotations

from rollback.policy.facts import Action, Decision, Facts, withheld
from verification.operator_commands import roll_back, status


def target_serves_already(facts: Facts) -> Decision | None:
    """Twice is the same as once: nothing is written, and what serves is verified."""
    if facts.traffic is None:
        return Decision(Action.OBSERVE_TRAFFIC, "target_serves_already")
    if not facts.plan.target or facts.traffic.sole_revision != facts.plan.target:
        return None
    reason = f"{facts.plan.target} served all traffic already: nothing was written"
    return Decision(Action.VERIFY, "target_serves_already", reason)


def target_was_bad(facts: Facts) -> Decision | None:
    """What served before was rolled back, or failed: going back there would trade one bad release for another."""
    plan = facts.plan
    obstacle = plan.obstacle("target_was_bad")
    if obstacle and not plan.target:
        return withheld("target_was_bad", obstacle.text, f"To roll back all the same: {facts.command}")
    if not facts.automatic or not plan.target or not facts.past.is_marked_bad(plan.target):
        return None
    reason = f"{plan.target}, which served before ({plan.evidence}), was itself rolled back"
    return withheld("target_was_bad", reason, f"To roll back all the same: {facts.command}")


def target_disputed(facts: Facts) -> Decision | None:
    """Those who know what served before name different revisions."""
    obstacle = facts.plan.obstacle("target_disputed")
    if obstacle is None or facts.plan.target:
        return None
    return withheld("target_disputed", obstacle.text, f"Choose: {facts.command}")


def target_unknown(facts: Facts) -> Decision | None:
    """Nobody knows which revision served before."""
    if facts.plan.target:
        return None
    obstacle = facts.plan.obstacle("target_unknown")
    reason = obstacle.text if obstacle else "what served before is not known"
    return withheld("target_unknown", reason, f"To roll back: {facts.command}")


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
    return withheld("traffic_changed", reason, _look_first(facts))


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
    return withheld("target_not_ready", reason, f"Choose another one: `{roll_back(facts.environment)}`")


def _look_first(facts: Facts) -> str:
    return f"Look at `{status(facts.environment)}`; to roll back all the same: {facts.command}"
