"""Why production moved, or why it did not: the four things that must be known before it moves, each with its evidence.

Decided here alone, from the run's record and its journal; pages and summaries show it. A guard that withheld the
rollback stands beside the point that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reports.text import moment
from verification.records.journal import JournalEvent, JournalView
from verification.records.rollback_plan import RequestedBy, RollbackPlan
from verification.records.run_record import (
    POST_DEPLOY_PHASES,
    CriterionResult,
    Evidence,
    EvidencePoint,
    RollbackOutcome,
    RunRecord,
    Standing,
)
from verification.verdict import Verdict, show

REAL = "The failure is real"
GAVE_IT = "The deployed revision gave it"
HELPS = "Going back helps"
TARGET = "The target served before, and was good"
NOTHING_ELSE = "Nothing else stood in the way"

_BEFORE, _WHY_NONE = "The revision before", "Why"

STANDING_SYMBOLS = {Standing.HOLDS: "✓", Standing.FAILS: "✗", Standing.UNKNOWN: "?"}
_CONTROL = {"better": Standing.HOLDS, "no better": Standing.FAILS}
# What each guard says of which point; all others are about `NOTHING_ELSE`.
_GUARDS = {
    "cut_off": (REAL, Standing.UNKNOWN),
    "serving_unknown": (GAVE_IT, Standing.UNKNOWN),
    "traffic_split": (GAVE_IT, Standing.UNKNOWN),
    "service_was_changing": (GAVE_IT, Standing.UNKNOWN),
    "address_of_another_service": (GAVE_IT, Standing.FAILS),
    "not_the_deployed_revision": (GAVE_IT, Standing.FAILS),
    "answered_by_another": (GAVE_IT, Standing.FAILS),
    "release_too_old": (GAVE_IT, Standing.FAILS),
    "already_rolled_back": (GAVE_IT, Standing.FAILS),
    "failed_before_the_deployment": (GAVE_IT, Standing.FAILS),
    "traffic_changed": (GAVE_IT, Standing.FAILS),
    "previous_no_better": (HELPS, Standing.FAILS),
    "target_was_bad": (TARGET, Standing.FAILS),
    "target_disputed": (TARGET, Standing.UNKNOWN),
    "target_unknown": (TARGET, Standing.UNKNOWN),
    "target_not_ready": (TARGET, Standing.FAILS),
}


def why(record: RunRecord, journal: JournalView) -> tuple[EvidencePoint, ...]:
    """The points in order, where something failed or was about to; a fifth where something else was in the way."""
    if not _is_about_a_rollback(record):
        return ()
    plan = journal.plan
    points = (
        _failure(record, journal, plan),
        _blame(record, journal, plan),
        _control(record, journal, plan),
        _target(record, plan),
    )
    return _with_what_held_it_up(record, points)


def why_heading(record: RunRecord) -> str:
    """What the points are the answer to."""
    return "Why production moved" if record.rollback.outcome is RollbackOutcome.DONE else "Why it did not"


def _is_about_a_rollback(record: RunRecord) -> bool:
    moved_or_held_up = record.rollback.outcome is not RollbackOutcome.NOT_NEEDED
    return moved_or_held_up or bool(_failures(record)) or bool(_mixed(record))


def _failures(record: RunRecord) -> list[CriterionResult]:
    """What failed after the deployment; of a killed run, nobody wrote down in which of several phases."""
    return [result for result in record.failures if not result.phase or result.phase in POST_DEPLOY_PHASES]


def _mixed(record: RunRecord) -> list[CriterionResult]:
    """What was answered badly and well when it was asked again, so that it proves nothing."""
    return [one for one in record.criteria if one.verdict is Verdict.INCONCLUSIVE and _asked_again(one)]


def _asked_again(result: CriterionResult) -> str:
    named = f"{result.id}, bad answers"
    return next((value.note for value in result.measurements if value.name == named), "")


def _failure(record: RunRecord, journal: JournalView, plan: RollbackPlan | None) -> EvidencePoint:
    if plan is not None and plan.requested_by is RequestedBy.PERSON:
        return EvidencePoint(REAL, Standing.HOLDS, (Evidence("Asked for", "by a person, whatever failed"),))
    reasons = {entry.text("criterion"): entry.text("reason") for entry in journal.every(JournalEvent.FAILED)}
    reasons |= {result.id: _counted(result) for result in _failures(record)}
    names = record.rollback.triggers or tuple(reasons)
    failed = [Evidence(name, _first_line(reasons.get(name, record.interrupted))) for name in names]
    mixed = [
        Evidence(result.id, f"{_counted(result)}: that proves nothing, neither way")
        for result in _mixed(record)
        if result.id not in names
    ]
    known = any(name in reasons for name in names)
    return EvidencePoint(REAL, Standing.HOLDS if known else Standing.UNKNOWN, (*failed, *mixed))


def _counted(result: CriterionResult) -> str:
    return _asked_again(result) or result.reason


def _first_line(reason: str) -> str:
    return reason.strip().partition("\n")[0] or "no reason was given"


def _blame(record: RunRecord, journal: JournalView, plan: RollbackPlan | None) -> EvidencePoint:
    served = tuple(_served(record, journal, plan))
    unmendable = [result.id for result in _failures(record) if not result.fixable_by_rollback]
    if unmendable and not record.rollback.triggers:
        nobodys = (Evidence(name, "nothing that another revision would mend") for name in unmendable)
        return EvidencePoint(GAVE_IT, Standing.FAILS, (*nobodys, *served))
    known = plan is not None and bool(plan.revision) and plan.deployed == plan.revision
    return EvidencePoint(GAVE_IT, Standing.HOLDS if known else Standing.UNKNOWN, served)


def _served(record: RunRecord, journal: JournalView, plan: RollbackPlan | None) -> Iterator[Evidence]:
    if plan is None:
        yield Evidence("What serves", "was never looked at")
        return
    created = f", created {moment(plan.created)}" if plan.created and plan.deployed == plan.revision else ""
    yield Evidence("Deployed", f"{plan.deployed}{created}" if plan.deployed else "not known")
    shares = ", ".join(f"{name} {percent} %" for name, percent in plan.shares.items())
    yield Evidence("Served at the start", shares or "not known")
    named = dict.fromkeys([*plan.answered, *_reported(record)])
    yield Evidence("Named by the answers", ", ".join(named) or "no revision")
    seen = journal.last("seen")
    if seen is not None:
        silence = f"; {seen.text('reason')}" if seen.text("reason") else ""
        yield Evidence("Served at the decision", f"{seen.text('traffic')} ({seen.text('source')}{silence})")


def _reported(record: RunRecord) -> list[str]:
    """What the service said of itself where a criterion asked for it."""
    asked = (result for result in record.criteria if result.name == "serving_the_deployed_revision")
    return [show(value.value) for result in asked for value in result.measurements if value.name == "revision"]


def _control(record: RunRecord, journal: JournalView, plan: RollbackPlan | None) -> EvidencePoint:
    asked, after = journal.last("control"), journal.last("asked-after")
    outcome, helped = record.rollback.outcome, record.rollback.helped
    standing = _CONTROL.get(asked.text("verdict"), Standing.UNKNOWN) if asked else Standing.UNKNOWN
    evidence = [Evidence(_BEFORE, asked.text("reason") if asked else "was not asked")]
    if outcome in {RollbackOutcome.DONE, RollbackOutcome.FAILED} and standing is not Standing.HOLDS:
        evidence.append(Evidence("Due all the same", _in_spite_of(standing, plan)))
    if after is not None:
        evidence.append(Evidence("After the move", after.text("reason")))
    works = bool(after and after.fields.get("works_again") and not after.fields.get("not_known"))
    if not helped or works:
        standing = Standing.HOLDS if helped else Standing.FAILS
    if outcome is RollbackOutcome.DONE:
        known = "works again" if works else "whether it works again could not be asked"
        evidence.append(Evidence("What had failed", known if helped else "still fails: going back did not help"))
    return EvidencePoint(HELPS, standing, tuple(evidence))


def _in_spite_of(standing: Standing, plan: RollbackPlan | None) -> str:
    if plan is not None and plan.requested_by is RequestedBy.PERSON:
        return "a person has asked for it"
    if standing is Standing.FAILS:
        return 'rollback.when_previous_no_better is "rollback"'
    return "where the revision before does not tell, the checklist's word holds: in doubt, roll back"


def _target(record: RunRecord, plan: RollbackPlan | None) -> EvidencePoint:
    target = (plan.target if plan else "") or record.rollback.to_revision
    named = Evidence("Target", target or "no revision to go back to is known")
    if plan is None or not plan.evidence or not target:
        about = (one for one in (plan.obstacles if plan else ()) if _about(one.code) == TARGET)
        unknown = [Evidence("Named by", "not known")] if target else [Evidence(_WHY_NONE, one.text) for one in about]
        return EvidencePoint(TARGET, Standing.UNKNOWN, (named, *unknown))
    evidence = [named, *map(_testimony, plan.evidence.split("; "))]
    if plan.unconfirmed:
        evidence.append(Evidence("Not heard", plan.unconfirmed))
    if plan.requested_by is RequestedBy.FAILURE and plan.shares:
        evidence.append(Evidence("On record", "no rollback of it, and no failed verification"))
    return EvidencePoint(TARGET, Standing.HOLDS, tuple(evidence))


def _testimony(text: str) -> Evidence:
    """Who says that the target served before: `request log: it answered ...`, or whoever noted it."""
    source, _, words = text.partition(": ")
    return Evidence(source[:1].upper() + source[1:], words) if words else Evidence("Named by", source)


def _about(guard: str) -> str:
    return _GUARDS[guard][0] if guard in _GUARDS else NOTHING_ELSE


def _repeats(known: Evidence, reason: str) -> bool:
    return known.label in {_BEFORE, _WHY_NONE} and known.text in reason


def _with_what_held_it_up(record: RunRecord, points: tuple[EvidencePoint, ...]) -> tuple[EvidencePoint, ...]:
    """The points, the one that kept production where it was with the guard's code, reason and commands."""
    result = record.rollback
    if result.outcome not in {RollbackOutcome.WITHHELD, RollbackOutcome.FAILED}:
        return points
    claim, standing = _GUARDS.get(result.guard, (NOTHING_ELSE, Standing.FAILS))
    failed = "The rollback did not get through" if result.outcome is RollbackOutcome.FAILED else "Withheld"
    reason = result.reason if result.guard else f"{failed}: {result.reason or 'no reason was given'}"
    if claim == NOTHING_ELSE:
        points = (*points, EvidencePoint(NOTHING_ELSE, standing))
    return tuple(
        replace(
            point,
            standing=standing,
            evidence=tuple(known for known in point.evidence if not _repeats(known, reason)),
            guard=result.guard,
            reason=reason,
            next_step=result.next_step,
        )
        if point.claim == claim
        else point
        for point in points
    )
