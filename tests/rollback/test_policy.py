"""Where a rollback is decided: every guard, in order, with what makes it speak and what it lets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollback.policy.decide import GUARDS, decide, foreseeable
from rollback.policy.facts import Action, ControlResult, ControlVerdict, Facts, TargetState
from rollback.serving_history import Observation, PastRevisions, ServingEvent
from rollback.traffic import TrafficSplit
from verification.records.rollback_plan import Obstacle, RequestedBy, RollbackPlan
from verification.settings.service import CloudRunSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVICE = CloudRunSettings(service="backend", region="us-east1", project="shop")
PLAN = RollbackPlan({"bad": 100}, "good", "the note", ("bad",), created=NOW - timedelta(minutes=5), deployed="bad")
SPLIT = TrafficSplit({"bad": 100}, "Cloud Run")
READY = TargetState(exists=True, ready=True)
BETTER = ControlResult(ControlVerdict.BETTER, "good was asked the same: login: 0 of 3 answers were bad")
UNASKED = ControlResult(ControlVerdict.UNKNOWN, "no tag")
AS_BAD = ControlResult(ControlVerdict.NO_BETTER, "good was asked the same: login: 3 of 3 answers were bad")
FACTS = Facts(
    plan=PLAN,
    triggers=("login",),
    environment="production",
    service=SERVICE,
    policy="automatic",
    allowed=True,
    dry_run=False,
    deployed_within=7200,
    at=NOW,
    past=PastRevisions(),
    holds_lock=True,
    traffic=SPLIT,
    target=READY,
    control=BETTER,
)


def planned(**changes: object) -> Facts:
    return replace(FACTS, plan=replace(PLAN, **changes))  # type: ignore[arg-type]


def blocked(code: str, **changes: object) -> Facts:
    return planned(obstacles=(Obstacle(code, f"because of {code}"),), **changes)


def seen(*events: tuple[str, ServingEvent]) -> PastRevisions:
    lines = [
        Observation(observed_at=NOW, project="shop", region="us-east1", service="backend", revision=name, kind=kind)
        for name, kind in events
    ]
    return PastRevisions(tuple(lines))


UNDONE = seen(("worse", ServingEvent.ROLLED_BACK), ("bad", ServingEvent.SERVING))
SPEAKS: dict[str, list[tuple[Facts, Action]]] = {
    "nothing_failed": [(replace(FACTS, triggers=()), Action.NOTHING)],
    "not_allowed": [(replace(FACTS, allowed=False), Action.WITHHOLD)],
    "policy_is_manual": [(replace(FACTS, policy="manual"), Action.WITHHOLD)],
    "another_rollback": [
        (replace(FACTS, holds_lock=None), Action.TAKE_LOCK),
        (replace(FACTS, holds_lock=False), Action.WITHHOLD),
    ],
    "target_serves_already": [
        (replace(FACTS, traffic=None), Action.OBSERVE_TRAFFIC),
        (replace(FACTS, traffic=TrafficSplit({"good": 100}, "gcloud")), Action.VERIFY),
    ],
    "serving_unknown": [
        (planned(shares={}), Action.WITHHOLD),
        (blocked("serving_unknown", shares={}), Action.WITHHOLD),
    ],
    "traffic_split": [(planned(shares={"bad": 10, "good": 90}), Action.WITHHOLD)],
    "service_was_changing": [(blocked("service_was_changing", target=""), Action.WITHHOLD)],
    "address_of_another_service": [(blocked("address_of_another_service"), Action.WITHHOLD)],
    "not_the_deployed_revision": [(planned(deployed="newer", target=""), Action.WITHHOLD)],
    "answered_by_another": [
        (planned(answered=("worse",)), Action.WITHHOLD),
        (planned(answered=("worse", "bad")), Action.WITHHOLD),
    ],
    "target_was_bad": [
        (blocked("target_was_bad", target=""), Action.WITHHOLD),
        (
            replace(FACTS, past=seen(("good", ServingEvent.SERVING), ("good", ServingEvent.ROLLED_BACK))),
            Action.WITHHOLD,
        ),
    ],
    "target_disputed": [(blocked("target_disputed", target=""), Action.WITHHOLD)],
    "target_unknown": [
        (planned(target=""), Action.WITHHOLD),
        (blocked("target_unknown", target=""), Action.WITHHOLD),
    ],
    "release_too_old": [
        (planned(created=None), Action.WITHHOLD),
        (planned(created=NOW - timedelta(seconds=7201)), Action.WITHHOLD),
        (planned(created=NOW + timedelta(days=1)), Action.WITHHOLD),
    ],
    "already_rolled_back": [(replace(FACTS, past=UNDONE), Action.WITHHOLD)],
    "change_under_way": [
        (replace(FACTS, traffic=replace(SPLIT, moving=True)), Action.FAIL),
        (replace(FACTS, traffic=replace(SPLIT, moving=True, requested="other")), Action.FAIL),
    ],
    "traffic_changed": [
        (replace(FACTS, traffic=TrafficSplit({"mended": 100}, "Cloud Run")), Action.WITHHOLD),
        (replace(FACTS, traffic=TrafficSplit({"bad": 50, "good": 50}, "Cloud Run")), Action.WITHHOLD),
    ],
    "target_not_ready": [
        (replace(FACTS, target=None), Action.CHECK_TARGET),
        (replace(FACTS, target=TargetState(exists=False, ready=False)), Action.WITHHOLD),
        (replace(FACTS, target=TargetState(exists=True, ready=False, problem="it crashes")), Action.WITHHOLD),
    ],
    "previous_no_better": [
        (replace(FACTS, control=None), Action.ASK_CONTROL),
        (replace(FACTS, control=AS_BAD), Action.WITHHOLD),
    ],
    "failed_before_the_deployment": [
        (replace(FACTS, failed_before=frozenset({"login", "search"}), control=UNASKED), Action.WITHHOLD),
    ],
    "dry_run": [(replace(FACTS, dry_run=True, control=None), Action.WITHHOLD)],
}
CASES = [
    pytest.param(code, facts, action, id=f"{code}-{number}")
    for code, cases in SPEAKS.items()
    for number, (facts, action) in enumerate(cases)
]
LET_THROUGH = {
    "everything known and good": FACTS,
    "a clock a minute behind": planned(created=NOW + timedelta(minutes=1)),
    "just within deployed_within": planned(created=NOW - timedelta(seconds=7200)),
    "the answers name the revision that serves": planned(answered=("bad",)),
    "nobody said what was deployed": planned(deployed=""),
    "our own change under way": replace(FACTS, traffic=replace(SPLIT, moving=True, requested="good")),
    "an API that was silent: the target was Ready at the start": replace(
        FACTS, traffic=replace(SPLIT, silence="503"), target=None
    ),
    "the serving revision is itself marked bad": replace(FACTS, past=seen(("bad", ServingEvent.ROLLED_BACK))),
    "a control that cannot be asked": replace(FACTS, control=UNASKED),
    "it failed before, but the revision from before does better now": replace(
        FACTS, failed_before=frozenset({"login"})
    ),
    "something else failed before": replace(FACTS, failed_before=frozenset({"search"}), control=UNASKED),
    "no better, and the setting says to roll back": replace(FACTS, control=AS_BAD, when_previous_no_better="rollback"),
    "a silent API, which sets no tag": replace(FACTS, traffic=replace(SPLIT, silence="503"), control=None),
    "a missing permission, which the write will tell": blocked("permission_missing"),
}


def test_the_table_has_every_guard_in_the_order_of_the_tuple() -> None:
    assert list(SPEAKS) == [guard.__name__ for guard in GUARDS]


@pytest.mark.parametrize(("code", "facts", "action"), CASES)
def test_a_guard_speaks_with_its_code(code: str, facts: Facts, action: Action) -> None:
    decision = decide(facts)
    assert (decision.guard, decision.action) == (code, action)
    if action in {Action.WITHHOLD, Action.FAIL}:
        assert decision.reason
        assert "`" in decision.next_step or code == "another_rollback", "a command that a person can paste"


@pytest.mark.parametrize("facts", LET_THROUGH.values(), ids=LET_THROUGH.keys())
def test_what_no_guard_objects_to_is_shifted(facts: Facts) -> None:
    assert decide(facts).action is Action.SHIFT


@pytest.mark.parametrize("code", list(SPEAKS))
def test_a_persons_wish_is_held_against_what_would_break_and_against_nothing_else(code: str) -> None:
    ours = {"nothing_failed", "not_allowed", "policy_is_manual", "serving_unknown", "traffic_split"}
    ours |= {"service_was_changing", "not_the_deployed_revision", "release_too_old", "already_rolled_back"}
    ours |= {"target_was_bad", "target_disputed", "previous_no_better", "failed_before_the_deployment"}
    ours |= {"address_of_another_service", "answered_by_another"}
    for facts, _ in SPEAKS[code]:
        target = facts.plan.target or ("" if code == "target_unknown" else "good")
        plan = replace(facts.plan, requested_by=RequestedBy.PERSON, target=target)
        traffic = replace(facts.traffic, shares=plan.shares) if code in ours and facts.traffic else facts.traffic
        decision = decide(replace(facts, plan=plan, traffic=traffic))
        assert (decision.action is Action.SHIFT) is (code in ours), decision


@pytest.mark.parametrize(
    ("shares", "name"),
    [
        ({"bad": 10, "good": 90}, "good"),
        ({"bad": 10, "good": 60, "old": 30}, "NAME"),
        ({"old": 10, "good": 90}, "NAME"),
    ],
)
def test_split_traffic_names_the_one_beside_the_deployed_revision(shares: dict[str, int], name: str) -> None:
    decision = decide(planned(shares=shares, target=""))
    assert decision.guard == "traffic_split"
    assert all(f"{revision} {percent} %" in decision.reason for revision, percent in shares.items())
    assert decision.next_step.endswith(f"--to-revision {name}`")


def test_of_several_objections_the_first_in_the_tuple_is_told() -> None:
    everything = replace(FACTS, allowed=False, policy="manual", dry_run=True, holds_lock=False)
    assert decide(everything).guard == "not_allowed"
    assert decide(replace(everything, allowed=True)).guard == "policy_is_manual"
    assert decide(replace(everything, allowed=True, policy="automatic")).guard == "another_rollback"


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (FACTS, []),
        (replace(FACTS, allowed=False, holds_lock=None, traffic=None, target=None), []),
        (replace(FACTS, policy="manual", past=UNDONE), ["policy_is_manual", "already_rolled_back"]),
        (planned(shares={}, target=""), ["serving_unknown"]),
        (planned(shares={"a": 50, "b": 50}, target=""), ["traffic_split"]),
        (blocked("target_unknown", target="", created=None), ["target_unknown", "release_too_old"]),
        (blocked("target_disputed", target=""), ["target_disputed"]),
        (blocked("address_of_another_service"), ["address_of_another_service"]),
        (blocked("target_was_bad", target=""), ["target_was_bad"]),
    ],
    ids=[
        "nothing",
        "asked later",
        "policy and record",
        "unknown",
        "split",
        "no target, no age",
        "disputed",
        "elsewhere",
        "was bad",
    ],
)
def test_what_can_be_foreseen_is_told_at_the_start(facts: Facts, codes: list[str]) -> None:
    assert [decision.guard for decision in foreseeable(replace(facts, triggers=()))] == codes


def test_a_plan_comes_back_from_the_journal_as_it_went_in() -> None:
    plan = replace(PLAN, obstacles=(Obstacle("a", "b"),), requested_by=RequestedBy.PERSON, shares={"a": 10, "b": 90})
    assert RollbackPlan.from_fields(plan.as_fields()) == plan
    with pytest.raises(ValueError, match="shares"):
        RollbackPlan.from_fields({"shares": "rev-a and rev-b"})


def _documented(guard: Callable[[Facts], object]) -> str:
    return (guard.__doc__ or "").strip()


def test_every_guard_says_why_it_is_there() -> None:
    assert all(_documented(guard) for guard in GUARDS)
