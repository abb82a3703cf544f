"""The safety net under one run: spread before the first verdict, caught by at its end."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import cast

from rollback.executor import Order, roll_back, roll_back_by_hand
from rollback.interrupts import Choice
from rollback.notify.message import CUT_OFF
from rollback.notify.outbox import call_people, send_queued
from rollback.notify.restore_offer import with_restore_offer
from rollback.preflight import Known, arm, survey
from rollback.serving_history import ServingRecord
from rollback.strategies.failover import longest_step
from rollback.supervisor.start import Supervision
from verification.clients.google.cloud_run import CloudRun
from verification.operator_commands import by_hand, to_latest
from verification.records.journal import Journal
from verification.records.run_record import POST_DEPLOY_PHASES, CriterionResult, RollbackOutcome, RollbackResult
from verification.run import Run
from verification.verdict import Verdict

_INTERRUPTED = "interrupted"


class SafetyNet:
    """Knows from the start what a rollback would do, and does it when the run's failures call for one."""

    def __init__(self, run: Run, journal: Path, output: Path, allowed: bool) -> None:
        self._run = run
        self._journal = Journal(journal)
        self._output = output
        self._history = ServingRecord(output / "serving.jsonl")
        self._allowed = allowed
        self._known: Known | None = None
        self._begun = False
        self._supervision = Supervision()

    def watch_over(self) -> None:
        """Begin the journal of a phase after a deployment; where a rollback is automatic, have the run supervised."""
        record, settings = self._run.record, self._run.settings
        if self._begun or self._cloud_run is None or not self._deploys:
            return
        self._begun = True
        self._journal.begun(
            environment=record.environment, phases=record.phases, allowed=self._allowed, dry_run=record.dry_run
        )
        if settings.rollback.policy == "automatic" and self._allowed and not record.dry_run:
            problem = self._supervision.start(
                self._journal.path, self._run.deployment, record.environment, self._output, longest_step(settings)
            )
            record.notices += [problem] if problem else []

    def spread(self) -> None:
        """Find out what serves and what served before; note in the record what stands in the way of a rollback."""
        record, cloud_run = self._run.record, self._cloud_run
        if cloud_run is None:
            if not self._deploys:
                return
            record.notices.append("no rollback is possible: cloud_run is not configured for this environment")
            return
        known = survey(self._run.settings, cloud_run, self._history, self._run.given)
        if not self._deploys:
            record.revision = known.revision
            return
        deployed = self._run.revision or (known.serving.latest_created if known.serving else "")
        self._known = known = _of_the_deployed(known, deployed, to_latest(cloud_run.settings))
        arm(self._journal, known, self._run.settings, cloud_run)
        record.revision, record.previous_revision, record.commit = known.revision, known.previous, known.commit
        record.deployed = known.created
        record.notices += [f"no rollback would be possible: {obstacle}" for obstacle in known.obstacles]

    def failed(self, result: CriterionResult) -> None:
        """Take note of a failed criterion; one that calls for a rollback ends the patience for what is still open."""
        self._journal.failed(result.id, result.reason, trigger=result.mendable)
        if result.mendable and self._cloud_run is not None:
            self._run.probes.limit_wait(self._run.settings.rollback.evidence_grace)

    def question(self) -> str:
        """What to ask whoever interrupts the run now; empty when there is nothing to decide."""
        known = self._known
        if self._run.record.dry_run or not self._allowed or known is None or not (known.revision and known.previous):
            return ""
        return f"{known.revision} serves, and {known.previous} did before. What shall serve from now on?"

    def catch(self, *, interrupted: bool = False, choice: Choice | None = None) -> None:
        """Roll back if the failures call for it, and call people; what was done goes into the record.

        `interrupted`: somebody ended the run; `choice` is what they answered, if they were asked.
        """
        run = self._run
        self._roll_back(interrupted=interrupted, choice=choice)
        record, output = run.record, self._history.path.parent
        if not run.started:
            return
        record.rollback = with_restore_offer(record.rollback, run.settings, output, record.commit)
        told = call_people(
            run.settings,
            run.variables,
            self._journal,
            self._to_be_told(),
            commit=record.commit,
            failures=[one for one in record.failures if self._cut_off or one.id in record.triggers],
            dry_run=record.dry_run,
        )
        queued = () if record.dry_run else send_queued(output, run.settings, run.variables, self._journal.path)
        record.called += told
        record.notices += queued

    def _roll_back(self, *, interrupted: bool, choice: Choice | None) -> None:
        record, cloud_run = self._run.record, self._cloud_run
        triggers = record.triggers
        if not triggers and record.interrupted and self._begun and cloud_run is not None:
            triggers = self._after_an_interruption(cloud_run, choice, interrupted)
        if not triggers:
            if self._begun and record.rollback.outcome is RollbackOutcome.NOT_NEEDED:
                record.rollback = replace(
                    record.rollback, reason=self._unasked(), next_step=self._where_nothing_is_proven()
                )
                reason = record.interrupted or record.rollback.reason
                self._journal.write("settled", outcome=record.rollback.outcome.value, reason=reason)
            return
        if cloud_run is None or self._known is None:
            record.rollback = RollbackResult(
                RollbackOutcome.WITHHELD,
                triggers,
                reason="what serves was never looked at" if cloud_run else "cloud_run is not configured",
                next_step=by_hand(record.environment),
            )
            return
        record.rollback = roll_back(
            self._known,
            triggers,
            settings=self._run.settings,
            cloud_run=cloud_run,
            journal=self._journal,
            history=self._history,
            dry_run=record.dry_run,
            allowed=self._allowed,
            variables=self._run.variables,
        )

    def _after_an_interruption(self, cloud_run: CloudRun, choice: Choice | None, interrupted: bool) -> tuple[str, ...]:
        """The triggers of the rollback that the setting asks for, if it does; a person's own decision is done here."""
        record, known = self._run.record, self._known
        if known is not None and choice is Choice.ROLL_BACK:
            order = Order({known.revision: 100}, known.previous, known.evidence, (known.revision,), (_INTERRUPTED,))
            record.rollback = roll_back_by_hand(
                order,
                settings=self._run.settings,
                cloud_run=cloud_run,
                journal=self._journal,
                history=self._history,
                dry_run=record.dry_run,
                variables=self._run.variables,
            )
            return ()
        when = self._run.settings.rollback.when_interrupted
        if known is not None and choice is None and interrupted and when == "rollback":
            return (_INTERRUPTED,)
        record.notices.append(
            f"{record.interrupted} after {len(record.criteria)} of {record.criteria_in_phase} criteria, and nothing "
            f"was rolled back: nobody watches now. To go on: `{self._again()}`; to roll back: `{self._back()}`"
        )
        return ()

    @property
    def _cut_off(self) -> bool:
        """Whether the run ended by itself (`-x`) before it had asked everything, and there was no rollback."""
        record = self._run.record
        ended_by_itself = self._begun and not record.interrupted
        return ended_by_itself and bool(record.unasked) and record.rollback.outcome is RollbackOutcome.NOT_NEEDED

    def _to_be_told(self) -> RollbackResult:
        """The result that people are called about; one that only needs a person's look is withheld."""
        record = self._run.record
        if not self._cut_off:
            return record.rollback
        return replace(
            record.rollback,
            outcome=RollbackOutcome.WITHHELD,
            triggers=(CUT_OFF,),
            from_revision=record.revision,
            to_revision=record.previous_revision,
        )

    def _unasked(self) -> str:
        record = self._run.record
        if not self._cut_off:
            return ""
        unasked = f"{len(record.unasked)} of {record.criteria_in_phase} criteria were not asked"
        bad = "what failed is nothing that another revision would mend, but " if record.failures else ""
        return f"{bad}{unasked}, because the run ended early"

    def _where_nothing_is_proven(self) -> str:
        """What a person can do about a release that was looked at, and could not be judged; else nothing."""
        record = self._run.record
        unclear = record.left_out or any(
            one.verdict is Verdict.INCONCLUSIVE for one in record.criteria if one.phase in POST_DEPLOY_PHASES
        )
        if record.interrupted or self._known is None or not unclear:
            return ""
        return (
            f"{self._known.revision or 'What serves'} is not proven to be good. "
            f"To look again: `{self._again()}`\nIf it still serves and is bad, to roll back: `{self._back()}`"
        )

    def _again(self) -> str:
        record = self._run.record
        phases = shlex.quote(" or ".join(record.phases))
        return f"pytest -m {phases} --env {shlex.quote(record.environment)}"

    def _back(self) -> str:
        return by_hand(self._run.record.environment, self._known.previous if self._known else "")

    @property
    def _deploys(self) -> bool:
        """Before a deployment there is nothing to take back."""
        return bool(POST_DEPLOY_PHASES & set(self._run.record.phases))

    @property
    def _cloud_run(self) -> CloudRun | None:
        return cast("CloudRun | None", self._run.resources().get("cloud_run")) if self._run.started else None


def _of_the_deployed(known: Known, deployed: str, to_latest_command: str) -> Known:
    """`known`, without a way back where another revision serves than the one that was deployed: it is not to blame."""
    if not deployed or not known.revision or deployed == known.revision:
        return known
    obstacle = (
        f"{deployed} was deployed, but {known.revision} serves, so what fails is not the new revision's fault "
        f"(if the traffic is pinned, `{to_latest_command}` lets it follow deployments)"
    )
    return replace(known, previous="", obstacles=(obstacle, *known.obstacles))
