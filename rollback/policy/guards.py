"""The guards: each withholds a rollback for one reason, or asks for a fact that it needs. Their order: `decide.py`."""

from __future__ import annotations

from rollback.policy.facts import Action, ControlVerdict, Decision, Facts, withheld
from rollback.traffic import TrafficSplit
from verification.operator_commands import follow_latest, look_again, roll_back, status
from verification.settings.units import duration_text

_CLOCK_TOLERANCE = 300.0  # seconds by which this machine's clock may be behind Cloud Run's


# --- may it be done here? -----------------------------------------------------------------------------------


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


# --- is what fails this release's fault? --------------------------------------------------------------------


def serving_unknown(facts: Facts) -> Decision | None:
    """Nobody could tell what served when the run began."""
    if facts.plan.shares or not facts.automatic:
        return None
    obstacle = facts.plan.obstacle("serving_unknown")
    reason = obstacle.text if obstacle else "what serves was never looked at"
    return withheld("serving_unknown", reason, f"To roll back: {facts.command}")


def traffic_split(facts: Facts) -> Decision | None:
    """Several revisions served: any may be at fault."""
    if not facts.plan.shares or facts.plan.revision or not facts.automatic:
        return None
    split = TrafficSplit(facts.plan.shares, "Cloud Run").text
    reason = f"the traffic is split ({split}): which revision would be at fault is not known"
    others = [name for name in facts.plan.shares if name != facts.plan.deployed]
    beside = others[0] if len(others) == 1 else ""  # the deployed one's, if it is one of the two
    return withheld("traffic_split", reason, f"To send everything there: `{roll_back(facts.environment, beside)}`")


def service_was_changing(facts: Facts) -> Decision | None:
    """The questions were asked while a change was under way: what failed may be the revision from before."""
    obstacle = facts.plan.obstacle("service_was_changing")
    if obstacle is None or not facts.automatic:
        return None
    return withheld("service_was_changing", obstacle.text, f"To roll back: {facts.command}")


def not_the_deployed_revision(facts: Facts) -> Decision | None:
    """What fails is another revision than the one whose deployment is judged."""
    plan = facts.plan
    if not facts.automatic or not plan.deployed or not plan.revision or plan.deployed == plan.revision:
        return None
    reason = (
        f"{plan.deployed} was deployed, but {plan.revision} serves, so what fails is not the new revision's fault "
        f"(if the traffic is pinned, `{follow_latest(facts.service)}` lets it follow deployments)"
    )
    return withheld("not_the_deployed_revision", reason, f"To roll back all the same: {facts.command}")


def answered_by_another(facts: Facts) -> Decision | None:
    """The questions were answered by another revision than the one that would be taken out."""
    plan = facts.plan
    others = [name for name in plan.answered if name != plan.revision]
    if not facts.automatic or not plan.revision or not others:
        return None
    reason = (
        f"{' and '.join(others)} answered (health.reported_revision), and {plan.revision} serves: what failed may be "
        "another revision's fault"
    )
    return withheld("answered_by_another", reason, f"To roll back all the same: {facts.command}")


def address_of_another_service(facts: Facts) -> Decision | None:
    """What was asked is not where the service is that would be moved."""
    obstacle = facts.plan.obstacle("address_of_another_service")
    if obstacle is None or not facts.automatic:
        return None
    return withheld("address_of_another_service", obstacle.text, f"To roll back all the same: {facts.command}")


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
    return withheld("release_too_old", reason, f"To roll back all the same: {facts.command}")


def already_rolled_back(facts: Facts) -> Decision | None:
    """What serves does so because of a rollback: no further back without a person."""
    undone = facts.past.rolled_back_for(facts.plan.revision) if facts.automatic and facts.plan.revision else None
    if undone is None:
        return None
    reason = (
        f"{facts.plan.revision} serves because {undone.revision} was rolled back "
        f"{undone.observed_at:%Y-%m-%d %H:%M} UTC: no further back without a person"
    )
    return withheld("already_rolled_back", reason, f"To roll back all the same: {facts.command}")


def previous_no_better(facts: Facts) -> Decision | None:
    """The revision from before fails in the same way: nothing would be gained. Where it cannot be asked, in doubt."""
    silent = facts.traffic is not None and bool(facts.traffic.silence)
    if not facts.automatic or facts.dry_run or silent:
        return None
    if facts.control is None:
        return Decision(Action.ASK_CONTROL, "previous_no_better")
    if facts.control.verdict is not ControlVerdict.NO_BETTER or facts.when_previous_no_better == "rollback":
        return None
    return withheld(
        "previous_no_better",
        f"going back would not help: {facts.control.reason}",
        f"Mend what both depend on, then look again: `{look_again(facts.environment)}`. "
        f"To roll back all the same: {facts.command}",
    )


def failed_before_the_deployment(facts: Facts) -> Decision | None:
    """All that fails did so before this release served: settings, or production, unless the control knows better."""
    helps = facts.control is not None and facts.control.verdict is ControlVerdict.BETTER
    if not facts.automatic or helps or not facts.triggers or not set(facts.triggers) <= facts.failed_before:
        return None
    listed = ", ".join(facts.triggers)
    reason = f"{listed} failed before this release was deployed, as the pre phase saw: the settings, or production"
    return withheld("failed_before_the_deployment", reason, f"To roll back all the same: {facts.command}")


# --- is there a revision to go back to? ---------------------------------------------------------------------


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
    return withheld("target_disputed", obstacle.text, f"Choose: `{roll_back(facts.environment, obstacle.likeliest)}`")


def target_unknown(facts: Facts) -> Decision | None:
    """Nobody knows which revision served before."""
    if facts.plan.target:
        return None
    obstacle = facts.plan.obstacle("target_unknown")
    reason = obstacle.text if obstacle else "what served before is not known"
    likeliest = obstacle.likeliest if obstacle else ""
    return withheld("target_unknown", reason, f"To roll back: `{roll_back(facts.environment, likeliest)}`")


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
