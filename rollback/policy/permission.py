"""Guards: whether anybody may act now."""

from __future__ import annotations

from rollback.policy.facts import Action, Decision, Facts, withheld


def nothing_failed(facts: Facts) -> Decision | None:
    """No criterion failed after a deployment in a way that another revision would mend, and nobody asks for it."""
    return Decision(Action.NOTHING, "nothing_failed") if facts.automatic and not facts.triggers else None


def not_allowed(facts: Facts) -> Decision | None:
    """The run was started with --no-rollback."""
    if facts.allowed or not facts.automatic:
        return None
    return withheld("not_allowed", "--no-rollback was given", f"To roll back: {facts.command}")


def policy_is_manual(facts: Facts) -> Decision | None:
    """The setting leaves it to a person."""
    if facts.policy == "automatic" or not facts.automatic:
        return None
    reason = f'rollback.policy of {facts.environment} is "{facts.policy}": a person decides'
    return withheld("policy_is_manual", reason, f"To roll back: {facts.command}")


def another_rollback(facts: Facts) -> Decision | None:
    """One at a time on this machine."""
    if facts.holds_lock is None:
        return Decision(Action.TAKE_LOCK, "another_rollback")
    if facts.holds_lock:
        return None
    return withheld(
        "another_rollback",
        f"another rollback of {facts.service.service} is running on this machine",
        "Wait for it to end, then look at what serves.",
    )


def dry_run(facts: Facts) -> Decision | None:
    """The last guard: everything but the write."""
    if not facts.dry_run:
        return None
    plan = facts.plan
    reason = f"dry run: would send all traffic from {plan.source} to {plan.target} ({plan.evidence})"
    return withheld("dry_run", reason, f"To do it: {facts.command}")
