"""Where a rollback is decided: `decide(facts)` goes through `GUARDS`, in order, and the first that speaks decides.

Pure: nothing is asked and nothing is done here. A guard that needs a fact which nobody has gathered yet answers with
the action that gathers it (`Action.TAKE_LOCK`, `OBSERVE_TRAFFIC`, `CHECK_TARGET`, `ASK_CONTROL`); `executor` does so
and asks again. A guard's function name is its code, in the journal and in the tests.
"""

from __future__ import annotations

from dataclasses import replace

from rollback.policy.facts import Action, Decision, Facts, Guard
from rollback.policy.guards import (
    address_of_another_service,
    already_rolled_back,
    another_rollback,
    answered_by_another,
    change_under_way,
    dry_run,
    failed_before_the_deployment,
    not_allowed,
    not_the_deployed_revision,
    nothing_failed,
    policy_is_manual,
    previous_no_better,
    release_too_old,
    service_was_changing,
    serving_unknown,
    target_disputed,
    target_not_ready,
    target_serves_already,
    target_unknown,
    target_was_bad,
    traffic_changed,
    traffic_split,
)

GUARDS: tuple[Guard, ...] = (
    nothing_failed,
    not_allowed,
    policy_is_manual,
    another_rollback,
    target_serves_already,
    serving_unknown,
    traffic_split,
    service_was_changing,
    address_of_another_service,
    not_the_deployed_revision,
    answered_by_another,
    target_was_bad,
    target_disputed,
    target_unknown,
    release_too_old,
    already_rolled_back,
    change_under_way,
    traffic_changed,
    target_not_ready,
    previous_no_better,
    failed_before_the_deployment,
    dry_run,
)


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
