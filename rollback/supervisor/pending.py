"""What an interrupted run owes: read from its journal, once its process has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from verification.operator_commands import resume
from verification.records.journal import JOURNAL, JournalEvent, JournalView, journals
from verification.records.run_record import POST_DEPLOY_PHASES, RollbackOutcome
from verification.records.unfinished import unfinished_verdict
from verification.verdict import Verdict


class Pending(StrEnum):
    """What must still be done."""

    NOTHING = "nothing"
    ROLLBACK = "the rollback"
    SMOKE = "one look at the release"  # by a smoke run: nothing had failed, but not everything was asked


def pending(journal: JournalView) -> Pending:
    """What the run of `journal` owes, its process having ended."""
    if journal.is_settled or not journal.has(JournalEvent.BEGUN, JournalEvent.ARMED):
        return Pending.NOTHING
    if journal.plan is not None and (journal.is_under_way or journal.triggers):
        return Pending.ROLLBACK
    if journal.is_by_hand:
        return Pending.NOTHING  # it ended before it did anything; whoever asked for it saw that
    return Pending.SMOKE


def open_runs(output: Path, environment: str, shares: Mapping[str, int] | None) -> list[JournalView]:
    """The runs of `environment` that owe something about what serves now, rollbacks first, each newest first."""
    runs = journals(output, environment)
    owing = [run for run in runs if pending(run) is not Pending.NOTHING and not superseded(run, runs, shares)]
    return sorted(owing, key=lambda run: pending(run) is not Pending.ROLLBACK)


def open_run_lines(output: Path, environment: str, shares: Mapping[str, int] | None) -> Iterator[str]:
    """What killed runs of `environment` owe, in lines; `shares` is what serves (None: not known)."""
    for journal in open_runs(output, environment, shares):
        because = f" (triggered by {', '.join(journal.triggers)})" if journal.triggers else ""
        yield f"run       {journal.run} is not settled; due: {pending(journal).value}{because}"
        if journal.identity.is_running:
            yield f"          its process ({journal.identity.pid}) is running, and acts itself"
        else:
            yield f"          its process has ended; to bring it to its end: `{resume(environment)}`"


def superseded(journal: JournalView, runs: list[JournalView], shares: Mapping[str, int] | None) -> str:
    """Why `journal` owes nothing any more although it is not settled, or nothing.

    `runs` are all runs of the environment, `shares` is what serves now (None: nobody can tell). A rollback that has
    begun to act is never superseded: what it asked for may still be waiting, and would move the traffic later.
    """
    if journal.is_under_way:
        return ""
    plan = journal.plan
    known = {*plan.shares, plan.target} if plan and plan.shares else set()
    if shares and known and not known & set(shares):
        return f"it is about {plan.source if plan else ''}, and {' and '.join(shares)} serves now"
    later = [run for run in runs if run.started and journal.started and run.started > journal.started]
    found = next((run for run in later if _answers(run, journal)), None)
    return f"the run {found.run} has looked since" if found else ""


def _answers(later: JournalView, journal: JournalView) -> bool:
    """Whether a `later` run has found out what `journal` left open: one without a verdict of its own has not.

    A smoke run is owed until another run failed or passed, a rollback until another run of the same phases, at least,
    found the same revision good.
    """
    settled, plan, open_plan = later.last(JournalEvent.SETTLED), later.plan, journal.plan
    if settled is None or later.is_by_hand:
        return False
    if pending(journal) is Pending.SMOKE:
        acted = settled.text("outcome") in {RollbackOutcome.DONE, RollbackOutcome.FAILED}
        return acted or settled.text("verdict") in {Verdict.PASS, Verdict.FAIL}
    if plan is None or open_plan is None or not set(journal.identity.phases) <= set(later.identity.phases):
        return False
    return settled.text("verdict") == Verdict.PASS and dict(plan.shares) == dict(open_plan.shares)


def without_journal(output: Path, environment: str, runs: list[JournalView]) -> list[Path]:
    """The folders of runs after a deployment that ended before they wrote a journal, newer than all of `runs`."""
    newest = max((run.started for run in runs if run.started), default=None)
    found = []
    for verdict in sorted(output.glob("*/verdict.json")):
        if verdict.parent.is_symlink() or (verdict.parent / JOURNAL).exists():
            continue
        started = _unfinished_since(verdict.parent, environment)
        if started and (newest is None or started > newest):
            found.append(verdict.parent)
    return found


def _unfinished_since(folder: Path, environment: str) -> datetime | None:
    """When the run of this folder began, if it is one after a deployment and has not finished."""
    document = unfinished_verdict(folder)
    phases = document.get("phases")
    after_deployment = not phases or (isinstance(phases, list) and POST_DEPLOY_PHASES & set(map(str, phases)))
    if document.get("environment") != environment or not after_deployment:
        return None
    try:
        return datetime.fromisoformat(str(document.get("started")))
    except ValueError:
        return None
