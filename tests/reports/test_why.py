"""What is known of each of the four points, from every journal and record that a run may leave behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reports.why import GAVE_IT, HELPS, NOTHING_ELSE, REAL, TARGET, why, why_heading
from rollback.policy.decide import GUARDS
from verification.records.journal import JournalEntry, JournalView
from verification.records.rollback_plan import Obstacle, RequestedBy, RollbackPlan
from verification.records.run_record import (
    CriterionResult,
    EvidencePoint,
    RollbackOutcome,
    RollbackResult,
    RunRecord,
    Standing,
)
from verification.verdict import Measurement, Verdict

HOLDS, FAILS, UNKNOWN = Standing.HOLDS, Standing.FAILS, Standing.UNKNOWN
AT = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
FOUR = (REAL, GAVE_IT, HELPS, TARGET)
COUNTED = Measurement("login, bad answers", 3, samples=3, note="asked again: 3 of 3 failed, at least 36.8 %")
LOGIN = CriterionResult(
    "login", "", "smoke", Verdict.FAIL, (COUNTED,), reason="status is 500; asked again: 3 of 3 failed, at least 36.8 %"
)
REPORTED = CriterionResult(
    "serving_the_deployed_revision", "", "smoke", Verdict.PASS, (Measurement("revision", "new"),)
)
CERTIFICATE = CriterionResult(
    "certificate_is_valid", "", "smoke", Verdict.FAIL, reason="expired", fixable_by_rollback=False
)
MIXED = replace(
    LOGIN,
    verdict=Verdict.INCONCLUSIVE,
    measurements=(replace(COUNTED, value=2, samples=30, note="asked again: 2 of 30 failed, at most 19.5 %"),),
)
PLAN = RollbackPlan(
    {"new": 100}, "old", "request log: it answered 9 users; variable PREVIOUS_REVISION", created=AT, deployed="new"
)
DONE = RollbackResult(
    RollbackOutcome.DONE, ("login",), "cloud_run", from_revision="new", to_revision="old", verified=True
)


def event(name: str, **fields: object) -> JournalEntry:
    return JournalEntry(1, AT, name, fields)


def armed(plan: RollbackPlan = PLAN) -> JournalEntry:
    return event("armed", plan=plan.as_fields())


def control(verdict: str) -> JournalEntry:
    return event("control", verdict=verdict, reason=f"old was asked the same: {verdict}")


SEEN = event("seen", traffic="new 100 %", source="Cloud Run", reason="")
AFTER = event("asked-after", reason="login: 0 of 3 answers were bad", still_failing=[], works_again=["login"])
UNHELPED = event("asked-after", reason="login: 3 of 3 answers were bad", still_failing=["login"], works_again=[])
HALF = event("asked-after", reason="login", still_failing=[], works_again=["login"], not_known=["search (none)"])
UNASKABLE = event("asked-after", reason="login: cannot be asked", still_failing=[], works_again=[])


def told(
    rollback: RollbackResult, *entries: JournalEntry, criteria: tuple[CriterionResult, ...] = (LOGIN,)
) -> tuple[EvidencePoint, ...]:
    record = RunRecord("production", ("smoke",), criteria=list(criteria), rollback=rollback)
    return why(record, JournalView(Path("run/journal.jsonl"), entries))


def texts(points: tuple[EvidencePoint, ...], claim: str) -> dict[str, str]:
    return {known.label: known.text for point in points if point.claim == claim for known in point.evidence}


def withheld(guard: str, reason: str = "a reason") -> RollbackResult:
    command = "To roll back: `python -m rollback -e production`"
    return RollbackResult(RollbackOutcome.WITHHELD, ("login",), reason=reason, next_step=command, guard=guard)


@dataclass(frozen=True)
class Case:
    rollback: RollbackResult
    entries: tuple[JournalEntry, ...]
    standings: tuple[Standing, ...]
    criteria: tuple[CriterionResult, ...] = (LOGIN,)


NOTHING = RollbackResult(RollbackOutcome.NOT_NEEDED)
CASES = {
    "rolled back on all four": Case(DONE, (armed(), SEEN, control("better"), AFTER), (HOLDS,) * 4),
    "the control could not be asked, and it helped": Case(
        DONE, (armed(), SEEN, control("unknown"), AFTER), (HOLDS,) * 4
    ),
    "nor could it be asked whether it helped": Case(
        DONE, (armed(), SEEN, control("unknown"), UNASKABLE), (HOLDS, HOLDS, UNKNOWN, HOLDS)
    ),
    "of one thing that had failed it is not known": Case(
        replace(DONE, verified=False), (armed(), SEEN, control("unknown"), HALF), (HOLDS, HOLDS, UNKNOWN, HOLDS)
    ),
    "nobody asked the control": Case(DONE, (armed(), SEEN), (HOLDS, HOLDS, UNKNOWN, HOLDS)),
    "it did not help": Case(
        replace(DONE, helped=False, verified=False),
        (armed(), SEEN, control("better"), UNHELPED),
        (HOLDS, HOLDS, FAILS, HOLDS),
    ),
    "as bad, and rolled back by the setting": Case(
        DONE, (armed(), SEEN, control("no better")), (HOLDS, HOLDS, FAILS, HOLDS)
    ),
    "as bad, and withheld": Case(
        withheld("previous_no_better"), (armed(), SEEN, control("no better")), (HOLDS, HOLDS, FAILS, HOLDS)
    ),
    "another revision than the deployed one": Case(
        withheld("not_the_deployed_revision"), (armed(replace(PLAN, deployed="newer")),), (HOLDS, FAILS, UNKNOWN, HOLDS)
    ),
    "what was deployed is not known": Case(
        withheld("policy_is_manual"), (armed(replace(PLAN, deployed="")),), (HOLDS, UNKNOWN, UNKNOWN, HOLDS, FAILS)
    ),
    "no target is known": Case(
        withheld("target_unknown"), (armed(replace(PLAN, target="", evidence="")),), (HOLDS, HOLDS, UNKNOWN, UNKNOWN)
    ),
    "the policy leaves it to a person": Case(
        withheld("policy_is_manual"), (armed(),), (HOLDS, HOLDS, UNKNOWN, HOLDS, FAILS)
    ),
    "it did not get through": Case(
        RollbackResult(RollbackOutcome.FAILED, ("login",), reason="403"),
        (armed(), SEEN, control("better")),
        (HOLDS, HOLDS, HOLDS, HOLDS, FAILS),
    ),
    "what serves was never looked at": Case(withheld("serving_unknown"), (), (HOLDS, UNKNOWN, UNKNOWN, UNKNOWN)),
    "no other revision would mend it": Case(
        NOTHING, (armed(),), (HOLDS, FAILS, UNKNOWN, HOLDS), criteria=(CERTIFICATE,)
    ),
    "mixed answers": Case(NOTHING, (armed(),), (UNKNOWN, HOLDS, UNKNOWN, HOLDS), criteria=(MIXED,)),
    "a person who ended the run wanted it": Case(
        replace(DONE, triggers=("interrupted",)),
        (armed(replace(PLAN, requested_by=RequestedBy.PERSON)), SEEN),
        (HOLDS, HOLDS, UNKNOWN, HOLDS),
        criteria=(),
    ),
    "the setting wanted it when the run was ended": Case(
        replace(DONE, triggers=("interrupted",)), (armed(), SEEN), (UNKNOWN, HOLDS, UNKNOWN, HOLDS), criteria=()
    ),
    "a killed run, whose journal alone knows what failed": Case(
        DONE,
        (armed(), event("failed", criterion="login", reason="status is 500"), SEEN),
        (HOLDS, HOLDS, UNKNOWN, HOLDS),
        criteria=(),
    ),
    "nothing failed": Case(NOTHING, (armed(),), (), criteria=(replace(LOGIN, verdict=Verdict.PASS),)),
    "what failed did so before a deployment": Case(NOTHING, (), (), criteria=(replace(LOGIN, phase="pre"),)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_point_says_what_is_known_of_it(case: Case) -> None:
    points = told(case.rollback, *case.entries, criteria=case.criteria)
    assert tuple(point.standing for point in points) == case.standings
    assert tuple(point.claim for point in points) == (*FOUR, NOTHING_ELSE)[: len(points)]
    assert all(point.evidence or point.reason for point in points), "none is a bare assertion"
    assert all(known.label and known.text for point in points for known in point.evidence)


def test_the_evidence_of_a_rollback_is_all_there() -> None:
    plan = replace(PLAN, answered=("new",))
    points = told(DONE, armed(plan), SEEN, control("better"), AFTER, criteria=(REPORTED, LOGIN))
    assert texts(points, REAL) == {"login": "asked again: 3 of 3 failed, at least 36.8 %"}
    assert texts(points, GAVE_IT) == {
        "Deployed": "new, created 2026-11-23 10:15:00 UTC",
        "Served at the start": "new 100 %",
        "Named by the answers": "new",
        "Served at the decision": "new 100 % (Cloud Run)",
    }
    assert texts(points, HELPS) == {
        "The revision before": "old was asked the same: better",
        "After the move": "login: 0 of 3 answers were bad",
        "What had failed": "works again",
    }
    assert texts(points, TARGET) == {
        "Target": "old",
        "Request log": "it answered 9 users",
        "Named by": "variable PREVIOUS_REVISION",
        "On record": "no rollback of it, and no failed verification",
    }


def test_what_failed_in_the_watch_says_so_in_its_own_words() -> None:
    """A second line of a reason is a log, which the table of criteria shows."""
    watched = replace(LOGIN, measurements=(), reason="503 (4 bad answers in a row, over 1.1s)\ntraceback")
    assert texts(told(DONE, armed(), criteria=(watched,)), REAL) == {"login": "503 (4 bad answers in a row, over 1.1s)"}


def test_another_revision_that_answered_is_named() -> None:
    points = told(
        withheld("answered_by_another"), armed(replace(PLAN, answered=("other",))), criteria=(REPORTED, LOGIN)
    )
    assert texts(points, GAVE_IT)["Named by the answers"] == "other, new"


def test_who_told_what_served_where_cloud_run_did_not() -> None:
    silent = event("seen", traffic="new 100 %", source="gcloud", reason="Cloud Run answered 503")
    assert texts(told(DONE, armed(), silent), GAVE_IT)["Served at the decision"] == (
        "new 100 % (gcloud; Cloud Run answered 503)"
    )


def test_a_guard_s_words_are_not_said_twice() -> None:
    asked = control("no better")
    points = told(withheld("previous_no_better", f"no help: {asked.text('reason')}"), armed(), asked)
    assert texts(points, HELPS) == {}
    disputed = (Obstacle("target_disputed", "old or older"), Obstacle("target_unknown", "nobody noted it"))
    plan = replace(PLAN, target="", evidence="", obstacles=disputed)
    points = told(withheld("target_disputed", "old or older"), armed(plan))
    assert texts(points, TARGET)["Why"] == "nobody noted it"


@pytest.mark.parametrize(
    ("verdict", "plan", "words"),
    [
        ("unknown", PLAN, "in doubt, roll back"),
        ("no better", PLAN, 'rollback.when_previous_no_better is "rollback"'),
        ("unknown", replace(PLAN, requested_by=RequestedBy.PERSON), "a person has asked for it"),
    ],
)
def test_what_moved_without_a_control_that_speaks_for_it_says_why(verdict: str, plan: RollbackPlan, words: str) -> None:
    said = texts(told(DONE, armed(plan), SEEN, control(verdict)), HELPS)
    assert said["Due all the same"].endswith(words)
    assert "Due all the same" not in texts(told(DONE, armed(plan), SEEN, control("better")), HELPS)


# All that keep production from moving.
HOLDING = sorted({guard.__name__ for guard in GUARDS} - {"nothing_failed", "target_serves_already"})


@pytest.mark.parametrize("guard", HOLDING)
def test_each_guard_stands_beside_the_point_that_it_is_about(guard: str) -> None:
    result = withheld(guard)
    if guard == "change_under_way":  # nobody knows what serves: a person is needed, as after a rollback that failed
        result = replace(result, outcome=RollbackOutcome.FAILED)
    points = told(result, armed(), SEEN, control("better"))
    held_up = [point for point in points if point.guard]
    assert [(point.guard, point.reason) for point in held_up] == [(guard, "a reason")]
    assert held_up[0].next_step == "To roll back: `python -m rollback -e production`"
    assert held_up[0].standing is not HOLDS
    nobodys = {
        "not_allowed",
        "policy_is_manual",
        "another_rollback",
        "dry_run",
        "change_under_way",
    }
    assert (held_up[0].claim == NOTHING_ELSE) is (guard in nobodys)


def test_a_run_that_ended_before_all_was_asked_proves_nothing() -> None:
    cut_off = replace(withheld("cut_off"), triggers=("not all was asked",))
    assert told(cut_off, armed())[0].standing is UNKNOWN


def test_the_heading_says_what_became_of_production() -> None:
    moved = RunRecord("production", rollback=DONE)
    held = RunRecord("production", rollback=withheld("dry_run"))
    assert (why_heading(moved), why_heading(held)) == ("Why production moved", "Why it did not")
