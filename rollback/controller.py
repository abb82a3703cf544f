"""The rollback of one run: armed before the first verdict, decided and carried out once, at the session's end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rollback.context import RollbackContext, history_in
from rollback.executor import Control, FailedQuestions, control_of, execute, longest_step, may_be_due
from rollback.notify.message import CUT_OFF
from rollback.notify.outbox import call_people, send_queued
from rollback.notify.restore_offer import with_restore_offer
from rollback.preflight import ServingSnapshot, take_snapshot
from rollback.supervisor.start import SupervisorProcess, supervision_token
from verification.clients.google.cloud_run import ServiceState
from verification.operator_commands import look_again, roll_back
from verification.records.journal import Journal
from verification.records.rollback_plan import RequestedBy, RollbackPlan
from verification.records.run_record import POST_DEPLOY_PHASES, CriterionResult, RollbackOutcome, RollbackResult
from verification.run.run import Run
from verification.verdict import Measurement, Verdict

_INTERRUPTED = "interrupted"
_SERVES = "serving_the_deployed_revision"
_TOLD_OTHERWISE = ("target_disputed", "target_was_bad")


class RollbackController:
    """Knows from the start what a rollback would do, and does it when the run's failures call for one."""

    def __init__(self, run: Run, journal: Path, output: Path, failed: FailedQuestions, allowed: bool) -> None:
        self._run = run
        self._failed = failed
        self._journal = Journal(journal)
        self._output = output
        self._allowed = allowed
        self._context: RollbackContext | None = None  # where Cloud Run is configured, from `arm` on
        self._plan: RollbackPlan | None = None
        self._control: Control | None = None  # asks the revision from before, once something has failed
        self._begun = False
        self._certain: list[str] = []  # what a watch has been certain about
        self._interrupted = False  # by somebody, who knows it
        self._supervisor = SupervisorProcess()

    def start_supervisor(self) -> None:
        """Begin the journal of a phase after a deployment; where a rollback is automatic, have the run supervised."""
        record, settings = self._run.record, self._run.settings
        if self._begun or not self._deploys:
            return
        self._begun = True
        self._journal.begun(
            environment=record.environment,
            phases=record.phases,
            allowed=self._allowed,
            dry_run=record.dry_run,
            token=supervision_token(),
        )
        if self._is_configured and self._acts_by_itself:
            problem = self._supervisor.start(
                self._journal.path, self._run.deployment, record.environment, self._output, longest_step(settings)
            )
            record.notices += [problem] if problem else []

    def arm(self) -> None:
        """Find out what serves and what served before; note in the record what stands in the way of a rollback."""
        run, record, cloud_run = self._run, self._run.record, self._run.resources().cloud_run
        if cloud_run is None:
            if self._deploys:
                record.notices.append("no rollback is possible: cloud_run is not configured for this environment")
            return
        self._context = context = RollbackContext(
            run.settings,
            cloud_run,
            self._journal,
            history_in(self._output),
            run.variables,
            allowed=self._allowed,
            dry_run=record.dry_run,
        )
        snapshot = self._survey(context, run.served_before)
        if self._deploys and snapshot.plan.obstacle("service_was_changing") and run.ask_again():
            record.notices.append("the service was changed while its first questions were asked: they were asked again")
            snapshot = self._survey(context, snapshot.service)
        plan = snapshot.plan
        record.revision = plan.revision
        if not self._deploys:
            return
        self._plan = plan
        self._control = control_of(plan, context, self._failed)
        self._journal.armed(context.cloud_run.settings, plan)
        record.previous_revision, record.commit, record.deployed = plan.target, snapshot.commit, plan.created
        record.notices += [f"no rollback would be possible: {obstacle.text}" for obstacle in plan.obstacles]
        record.notices += snapshot.notices

    def _survey(self, context: RollbackContext, before: ServiceState | None) -> ServingSnapshot:
        run = self._run
        judged = run.revision if self._deploys else None
        return take_snapshot(context, run.hint, judged, run.asked_since, before)

    def doubt(self) -> None:
        """A criterion has failed for the first time, and is being asked again: have the control ready."""
        context, plan = self._context, self._plan
        if context and plan and self._control and may_be_due(plan, context):
            self._control.prepare()

    def record_failure(self, result: CriterionResult) -> None:
        """Note a failed criterion; one that calls for a rollback limits the wait for what is still open."""
        self._journal.failed(result.id, result.reason, trigger=result.fixable_by_rollback)
        if result.fixable_by_rollback and self._context is not None and self._acts_by_itself:
            self._run.probes.limit_wait(self._run.settings.rollback.evidence_grace)

    def record_certain(self, criterion: str, reason: str) -> None:
        """Note, from the watch's own thread, what is certain to fail before its criterion has said so.

        That counts whatever becomes of the criterion: a run that hangs, or is ended, owes its rollback from now on.
        """
        self._certain.append(criterion)
        self._journal.failed(criterion, reason)

    def question(self) -> str:
        """What to ask whoever interrupts the run now; empty when there is nothing to decide."""
        plan = self._plan
        if (
            self._certain
            or self._run.record.dry_run
            or not self._allowed
            or plan is None
            or not (plan.revision and plan.target)
        ):
            return ""
        return f"{plan.revision} serves, and {plan.target} did before. What shall serve from now on?"

    def finish(self, *, interrupted: bool = False, wanted: bool | None = None) -> None:
        """Roll back if the failures call for it, and call people; what was done goes into the record.

        `interrupted`: somebody ended the run; `wanted`: whether they want a rollback, if they were asked.
        """
        run, record, self._interrupted = self._run, self._run.record, interrupted
        self._roll_back(interrupted=interrupted, wanted=wanted)
        if not run.started:
            return
        record.rollback = with_restore_offer(record.rollback, run.settings, self._output, record.commit)
        told = call_people(
            run.settings,
            run.variables,
            self._journal,
            self._result_to_tell(),
            commit=record.commit,
            failures=[failure for failure in record.failures if self._cut_off or failure.id in record.triggers],
            dry_run=record.dry_run,
        )
        queued = () if record.dry_run else send_queued(self._output, run.settings, run.variables, self._journal.path)
        record.called += told
        record.notices += queued

    def _roll_back(self, *, interrupted: bool, wanted: bool | None) -> None:
        record, context, plan = self._run.record, self._context, self._plan
        triggers = record.triggers or tuple(self._certain) or self._unserved()
        if not triggers and record.interrupted and self._begun and self._is_configured:
            if wanted and plan is not None and context is not None:
                plan, triggers = replace(plan, requested_by=RequestedBy.PERSON), (_INTERRUPTED,)
                self._journal.armed(context.cloud_run.settings, plan)
            elif plan is not None and self._rolls_back_unasked(interrupted, wanted):
                triggers = (_INTERRUPTED,)
            else:
                self._note_interruption()
        if not triggers:
            self._settle()
        elif context is None or plan is None:
            record.rollback = RollbackResult(
                RollbackOutcome.WITHHELD,
                triggers,
                reason="what serves was never looked at" if self._is_configured else "cloud_run is not configured",
                next_step=roll_back(record.environment),
                guard="serving_unknown",
            )
            self._journal.settled(record.rollback)
        else:
            plan = self._with_answers(self._with_target(plan, context))
            record.rollback = execute(plan, context, triggers, self._control)

    def _unserved(self) -> tuple[str, ...]:
        """That the deployed revision does not get all requests, where several do: which one shall, a person decides."""
        split = self._plan is not None and len(self._plan.shares) > 1
        return tuple(failed.id for failed in self._run.record.failures if split and failed.name == _SERVES)

    def _with_target(self, plan: RollbackPlan, context: RollbackContext) -> RollbackPlan:
        """The plan, with what served before where nobody could tell at the start, or a note alone did.

        Who was silent may speak now.
        """
        in_question = plan.unconfirmed or plan.obstacle("target_unknown")
        if not in_question or plan.obstacle("service_was_changing"):
            return plan
        run = self._run
        again = take_snapshot(context, run.hint, run.revision, before=run.served_before).plan
        told = again.target or any(again.obstacle(code) for code in _TOLD_OTHERWISE)
        if not told or dict(again.shares) != dict(plan.shares):
            return plan
        self._leave_control_of(plan, again.target)
        plan = replace(
            plan,
            target=again.target,
            evidence=again.evidence,
            unconfirmed=again.unconfirmed,
            obstacles=again.obstacles,
        )
        self._control = self._control or control_of(plan, context, self._failed)
        self._journal.armed(context.cloud_run.settings, plan)
        return plan

    def _leave_control_of(self, plan: RollbackPlan, target: str) -> None:
        """Ask the revision that `plan` goes back to no more, if it is not `target`."""
        if self._control is None or plan.target == target:
            return
        problem, self._control = self._control.close(), None
        self._run.record.notices += [problem] if problem else []

    def _with_answers(self, plan: RollbackPlan) -> RollbackPlan:
        """The plan, knowing also which revision answered the run's own questions."""
        reported = self._run.probes.known("reported_revision")
        named = reported.value if isinstance(reported, Measurement) else None
        if not isinstance(named, str) or named in plan.answered:
            return plan
        return replace(plan, answered=(*plan.answered, named))

    def _rolls_back_unasked(self, interrupted: bool, wanted: bool | None) -> bool:
        when = self._run.settings.rollback.when_interrupted
        return interrupted and wanted is None and when == "rollback"

    def _note_interruption(self) -> None:
        record = self._run.record
        record.notices.append(
            f"{record.interrupted} after {len(record.criteria)} of {record.criteria_in_phase} criteria, and nothing "
            f"was rolled back: nobody watches now. To go on: `{self._look_again}`; to roll back: `{self._go_back}`"
        )

    def _settle(self) -> None:
        record = self._run.record
        problem = self._control.close() if self._control else ""
        record.notices += [problem] if problem else []
        if self._begun:
            next_step = self._where_nothing_is_proven()
            record.rollback = replace(record.rollback, reason=self._unasked(), next_step=next_step)
            settled = self._result_to_tell()
            settled = replace(settled, reason=settled.reason or record.interrupted)
            self._journal.settled(settled, verdict=record.verdict.value)

    @property
    def _cut_off(self) -> bool:
        """Whether the run ended by itself (`-x`, pytest broke) before all was asked, and there was no rollback."""
        record = self._run.record
        ended_by_itself = self._begun and not self._interrupted
        return ended_by_itself and bool(record.unasked) and record.rollback.outcome is RollbackOutcome.NOT_NEEDED

    def _result_to_tell(self) -> RollbackResult:
        """The result that people are called about; one that only needs a person's look is withheld."""
        record = self._run.record
        if not self._cut_off:
            return record.rollback
        return replace(
            record.rollback,
            outcome=RollbackOutcome.WITHHELD,
            triggers=(CUT_OFF,),
            guard="cut_off",
            from_revision=record.revision,
            to_revision=record.previous_revision,
        )

    def _unasked(self) -> str:
        record = self._run.record
        if not self._cut_off:
            return ""
        unasked = f"{len(record.unasked)} of {record.criteria_in_phase} criteria were not asked"
        bad = "what failed is nothing that another revision would mend, but " if record.failures else ""
        return f"{bad}{unasked}, because {record.interrupted or 'the run ended early'}"

    def _where_nothing_is_proven(self) -> str:
        """What a person can do about a release that was looked at, and could not be judged; else nothing."""
        record = self._run.record
        unclear = record.left_out or any(
            result.verdict is Verdict.INCONCLUSIVE for result in record.criteria if result.phase in POST_DEPLOY_PHASES
        )
        if self._interrupted or self._plan is None or not unclear:
            return ""
        return (
            f"{self._plan.revision or 'What serves'} is not proven to be good. "
            f"To look again: `{self._look_again}`\nIf it still serves and is bad, to roll back: `{self._go_back}`"
        )

    @property
    def _look_again(self) -> str:
        record = self._run.record
        return look_again(record.environment, " or ".join(record.phases))

    @property
    def _go_back(self) -> str:
        return roll_back(self._run.record.environment, self._plan.target if self._plan else "")

    @property
    def _acts_by_itself(self) -> bool:
        """Whether a failure moves the traffic unasked: else there is no haste, and all evidence is waited for."""
        automatic = self._run.settings.rollback.policy == "automatic"
        return automatic and self._allowed and not self._run.record.dry_run

    @property
    def _is_configured(self) -> bool:
        """Whether there is a Cloud Run service that could be rolled back."""
        return self._run.started and self._run.settings.target.cloud_run is not None

    @property
    def _deploys(self) -> bool:
        """Before a deployment there is nothing to take back."""
        return bool(POST_DEPLOY_PHASES & set(self._run.record.phases))
