"""The deployment log's events of a run, a rollback by hand and a signature. A failure to write is only a notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from verification.deadline import now
from verification.errors import VerificationError
from verification.records.deployment_log import DeploymentLog
from verification.records.deployments import (
    Deployment,
    DeploymentEvent,
    EventKind,
    LoggedRollback,
    PhaseVerdict,
    SignOff,
)
from verification.records.run_record import (
    POST_DEPLOY_PHASES,
    CriterionResult,
    RollbackOutcome,
    RollbackResult,
    RunRecord,
)
from verification.redaction import redact
from verification.verdict import Verdict

_LONGEST_ISSUE = 300


@dataclass(frozen=True, slots=True)
class Subject:
    """The deployment that an event is about."""

    environment: str
    service: str
    revision: str

    def event(self, kind: EventKind, at: datetime, *parts: str, **details: object) -> DeploymentEvent:
        """What happened to it; the event's id is made of the deployment, the kind and `parts`, such as the run."""
        name = "/".join((self.environment, self.service, self.revision, kind, *parts))
        return DeploymentEvent.model_validate({"id": name, "kind": kind, "at": at, **asdict(self), **details})


def belongs_in_the_log(record: RunRecord) -> bool:
    """Whether the run asked about a deployment, and did what it says."""
    asked = {result.phase for result in record.criteria}
    return bool((POST_DEPLOY_PHASES | {"followup"}) & asked) and not record.dry_run


def run_events(record: RunRecord, run: str, sign_offs: Mapping[str, str]) -> tuple[DeploymentEvent, ...]:
    """The events of a run and of each signature in it. `run` names it (its folder); `sign_offs` are names by line."""
    subject = Subject(record.environment, record.service, record.revision)
    at = record.finished or now()
    asked = {result.phase for result in record.criteria}
    phases = {
        phase: PhaseVerdict(verdict=record.verdict_of(phase), ended=_ended(record, phase, at))
        for phase in record.phases
        if phase in asked
    }
    event = subject.event(
        EventKind.RUN,
        at,
        run,
        *phases,
        record.rollback.outcome,
        previous=record.previous_revision,
        commit=record.commit,
        deployed=record.deployed,
        profiles=record.profiles,
        phases=phases,
        failed_at=_failed_at(record),
        issues=tuple(_issue(result) for result in record.criteria if result.verdict is not Verdict.PASS),
        rollback=_logged(record.rollback),
    )
    signed = (
        subject.event(EventKind.SIGN_OFF, at, run, line, sign_off=SignOff(line=line, name=name))
        for line, name in sign_offs.items()
    )
    return (event, *signed)


def deployed(deployment: Deployment, at: datetime) -> DeploymentEvent:
    """That the deployment took place, for one that no run has told of."""
    return Subject(deployment.environment, deployment.service, deployment.revision).event(
        EventKind.DEPLOYED,
        at,
        previous=deployment.previous,
        commit=deployment.commit,
        deployed=deployment.deployed,
    )


def manual_rollback_events(
    environment: str, service: str, taken_out: Iterable[str], result: RollbackResult, run: str
) -> tuple[DeploymentEvent, ...]:
    """The events of a rollback that a person started, for each revision of `taken_out`; none where it was withheld."""
    rollback = _logged(result, "hand")
    if rollback is None or result.outcome is RollbackOutcome.WITHHELD:
        return ()
    at = now()
    return tuple(
        Subject(environment, service, revision).event(
            EventKind.ROLLBACK, at, run, previous=result.to_revision, rollback=rollback
        )
        for revision in taken_out
    )


def keep(log: DeploymentLog, events: Iterable[DeploymentEvent]) -> str:
    """Write `events`; what went wrong, or nothing."""
    try:
        log.append(events)
    except VerificationError as problem:
        return redact(f"the deployment log was not written: {problem.cause}")
    return ""


def _ended(record: RunRecord, phase: str, at: datetime) -> datetime:
    """When the last criterion of the phase was measured."""
    measured = (
        value.observed_at for result in record.criteria if result.phase == phase for value in result.measurements
    )
    return max(measured, default=at)


def _failed_at(record: RunRecord) -> datetime | None:
    """When the first failure was known: a criterion fails with the last thing that it measures."""
    failures = [result for result in record.failures if result.phase in POST_DEPLOY_PHASES]
    moments = (
        max((value.observed_at for value in failure.measurements), default=record.started) for failure in failures
    )
    return min(moments, default=None)


def _issue(result: CriterionResult) -> str:
    reason = " ".join(result.reason.split()) or "no reason was given"
    # Cleaned before it is cut: half a secret would not be known as one.
    return redact(f"{result.phase}: {result.id}: {result.verdict}: {reason}")[:_LONGEST_ISSUE]


def _logged(result: RollbackResult, by: str = "the run") -> LoggedRollback | None:
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        return None
    return LoggedRollback.model_validate(result).model_copy(update={"by": by})
