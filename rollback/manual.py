"""A rollback that a person asks for: which revision is meant by "-n 1", and what to do when nobody knows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollback.context import RollbackContext
from rollback.executor import execute
from rollback.notify.outbox import call_people
from rollback.notify.restore_offer import with_restore_offer
from rollback.previous_revision.find import Previous, candidates, candidates_text, find_previous
from rollback.traffic import existing_revision, settled_service
from verification.clients.google.cloud_run import CloudRun, RevisionState, ServiceState
from verification.deadline import Deadline
from verification.errors import ObserverError, RollbackFailed, RollbackWithheld, SettingsError
from verification.operator_commands import roll_back, shift_now, status
from verification.records.deployment_log import open_log
from verification.records.events import keep, manual_rollback_events
from verification.records.rollback_plan import PreviousRevisionHint, RequestedBy, RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.redaction import redact

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ManualRequest:
    """What a person asked for: `steps` back, or a revision by `name`; `at_terminal`: they can be asked which."""

    steps: int
    name: str
    hint: PreviousRevisionHint | None
    at_terminal: bool = False


def roll_back_manually(request: ManualRequest, context: RollbackContext, say: Say) -> RollbackResult:
    """Do what a person asks for, tell others and the deployment log of it; `say` shows a line. Never raises."""
    try:
        plan = plan_for(request, context)
    except (RollbackWithheld, RollbackFailed) as problem:
        withheld = isinstance(problem, RollbackWithheld)
        outcome = RollbackOutcome.WITHHELD if withheld else RollbackOutcome.FAILED
        return RollbackResult(outcome, reason=problem.cause, next_step=problem.remedy, guard=problem.guard)
    say(f"from  {plan.source}")
    say(f"to    {plan.target} ({plan.evidence})")
    settings, journal = context.settings, context.journal
    journal.begun(environment=settings.environment, phases=(), allowed=True, dry_run=context.dry_run)
    journal.armed(context.cloud_run.settings, plan)
    result = execute(plan, context)
    if plan.mark_bad:
        commit = commit_of(context.cloud_run, plan.mark_bad[0])
        result = with_restore_offer(result, settings, journal.path.parents[1], commit)
    moved = bool(result.strategy) or result.outcome is RollbackOutcome.FAILED
    if moved or context.dry_run:  # else nothing has happened that the person at the keyboard does not see
        for line in call_people(settings, context.variables, journal, result, dry_run=context.dry_run):
            say(line)
    say(_logged(context, plan, result))
    return result


def _logged(context: RollbackContext, plan: RollbackPlan, result: RollbackResult) -> str:
    """Tell the deployment log; what went wrong with that, or nothing: the rollback is what it is."""
    settings, run = context.settings, context.journal.path.parent
    rolled_back = [name for name in plan.shares if name != plan.target]
    try:
        log = open_log(settings.deployment_log, run.parent, os.environ)
    except SettingsError as mistake:
        return f"the deployment log was not written: {mistake.cause}"
    service = context.cloud_run.settings.service
    return keep(log, manual_rollback_events(settings.environment, service, rolled_back, result, run.name))


def plan_for(request: ManualRequest, context: RollbackContext) -> RollbackPlan:
    """What is to be done. Raises RollbackWithheld (with the command to paste), RollbackFailed (Cloud Run silent)."""
    deadline = Deadline.after(context.settings.rollback.shift_within)
    service = settled_service(context.cloud_run, deadline, request.name)
    try:
        return _Planning(request, context, service, deadline).plan()
    except ObserverError as problem:
        command = shift_now(context.cloud_run.settings, request.name)
        raise RollbackFailed(problem.cause, command) from problem


def commit_of(cloud_run: CloudRun, revision: str) -> str:
    """The commit that `revision` was built from; empty where that cannot be said."""
    try:
        return cloud_run.revision(revision).commit
    except ObserverError:
        return ""


@dataclass(frozen=True, slots=True)
class _Planning:
    request: ManualRequest
    context: RollbackContext
    service: ServiceState
    deadline: Deadline

    def plan(self) -> RollbackPlan:
        name, evidence = self.target()
        target = existing_revision(self.context.cloud_run, name, self.deadline)
        if target is None:
            raise RollbackWithheld(
                f"there is no revision {name}", f"Look at `{status(self.environment)}`", "target_not_ready"
            )
        # Going forward again, to a newer revision, is no judgement on the older one.
        newer = [other for other in self.service.shares if other != name and self.created_after(other, target)]
        return RollbackPlan(self.service.shares, name, evidence, tuple(newer), RequestedBy.PERSON)

    @property
    def environment(self) -> str:
        return self.context.settings.environment

    def command(self, likeliest: str = "") -> str:
        which = "If that is the revision that shall serve" if likeliest else "Name the revision that shall serve"
        return f"{which}: `{roll_back(self.environment, likeliest)}`"

    def target(self) -> tuple[str, str]:
        """The revision that shall serve, and where that is known from."""
        if self.request.name:
            return self.request.name, "named by hand"
        name = self.service.sole_revision
        if name is None:
            cause = f"the traffic is split ({self.service.traffic_text}), so that it is not clear what a step back is"
            raise RollbackWithheld(cause, self.command(), "traffic_split")
        serving = self.context.cloud_run.revision(name)
        history, table = self.context.history, self.context.cloud_run.settings
        history.observe(table, name, serving.created)
        undone = history.about(table).rolled_back_for(name)
        if undone is not None:
            return self.after_a_rollback(name, undone.revision)
        return self.steps_back(serving)

    def after_a_rollback(self, serving: str, bad: str) -> tuple[str, str]:
        """After a rollback, "one step back" has been done: asked twice, it must not go back twice."""
        if self.request.steps == 1:
            return serving, f"serving record: {bad} was rolled back already"
        cause = (
            f"{serving} serves because {bad} was rolled back already, so that it is not clear what "
            f"{self.request.steps} steps are"
        )
        raise RollbackWithheld(cause, self.command(), "already_rolled_back")

    def steps_back(self, serving: RevisionState) -> tuple[str, str]:
        hint = self.request.hint
        if hint is not None and hint.revision == serving.name and self.request.steps == 1:
            return serving.name, f"{hint.source} names it as the previous one, and it serves already"
        found = Previous()
        revision = serving
        for step in range(self.request.steps):
            found = find_previous(self.context, revision, hint if step == 0 else None)
            if found.problem:
                return self.chosen(serving, found)
            revision = self.context.cloud_run.revision(found.revision)
        return found.revision, found.evidence

    def chosen(self, serving: RevisionState, found: Previous) -> tuple[str, str]:
        problem = found.problem
        possible = candidates(self.context.cloud_run, serving)
        if self.request.at_terminal and possible:
            name = _ask_person(possible, problem)
            if name:
                return name, "chosen by hand"
        shown = "" if candidates_text(possible) in problem else f" {candidates_text(possible)}"
        raise RollbackWithheld(f"{problem}{shown}", self.command(found.likeliest), found.code)

    def created_after(self, name: str, other: RevisionState) -> bool:
        found = existing_revision(self.context.cloud_run, name, self.deadline)
        return found is not None and found.created > other.created


def _ask_person(possible: Sequence[RevisionState], problem: str) -> str:
    """The name of one of the `possible` revisions, as somebody types it; empty when they name none."""
    print(redact(problem))
    print(redact(candidates_text(possible)))
    try:
        answer = input("Name of the revision that shall serve (empty: none): ").strip()
    except EOFError:
        return ""
    return answer if answer in {revision.name for revision in possible} else ""
