"""What a run, a rollback by hand or a signature tells the deployment log. A failure to write is only a notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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

    def id(self, *parts: str) -> str:
        """An event's id: what happened to which deployment, in which run."""
        return "/".join((self.environment, self.service, self.revision, *parts))


def belongs_in_the_log(record: RunRecord) -> bool:
    """Whether the run asked about a deployment, and did what it says."""
    asked = {one.phase for one in record.criteria}
    return bool((POST_DEPLOY_PHASES | {"followup"}) & asked) and not record.dry_run


def events_of(record: RunRecord, run: str, sign_offs: Mapping[str, str]) -> tuple[DeploymentEvent, ...]:
    """What `record` tells. `run` is a name of its own (the run's folder); `sign_offs` are names by line."""
    subject = Subject(record.environment, record.service, record.revision)
    at = record.finished or now()
    told = tuple(phase for phase in record.phases if any(one.phase == phase for one in record.criteria))
    happened = [*told, record.rollback.outcome.value]
    event = DeploymentEvent(
        id=subject.id("run", run, *happened),
        kind=EventKind.RUN,
        at=at,
        environment=subject.environment,
        service=subject.service,
        revision=subject.revision,
        previous=record.previous_revision,
        commit=record.commit,
        deployed=record.deployed,
        profiles=record.profiles,
        phases={
            phase: PhaseVerdict(verdict=record.verdict_of(phase), ended=_ended(record, phase, at)) for phase in told
        },
        failed_at=_failed_at(record),
        issues=tuple(_issue(one) for one in record.criteria if one.verdict is not Verdict.PASS),
        rollback=_rolled_back(record.rollback),
    )
    return (event, *(sign_off(subject, line, name, run, at) for line, name in sign_offs.items()))


def sign_off(subject: Subject, line: str, name: str, run: str, at: datetime) -> DeploymentEvent:
    """That `name` answers for `line`."""
    return DeploymentEvent(
        id=subject.id("sign-off", run, line),
        kind=EventKind.SIGN_OFF,
        at=at,
        environment=subject.environment,
        service=subject.service,
        revision=subject.revision,
        sign_off=SignOff(line=line, name=name),
    )


def deployed(deployment: Deployment, at: datetime) -> DeploymentEvent:
    """That the deployment took place, for one that no run has told of."""
    subject = Subject(deployment.environment, deployment.service, deployment.revision)
    return DeploymentEvent(
        id=subject.id("deployed"),
        kind=EventKind.DEPLOYED,
        at=at,
        environment=subject.environment,
        service=subject.service,
        revision=subject.revision,
        previous=deployment.previous,
        commit=deployment.commit,
        deployed=deployment.deployed,
    )


def rolled_back_by_hand(
    environment: str, service: str, taken_out: Iterable[str], result: RollbackResult, run: str
) -> tuple[DeploymentEvent, ...]:
    """What a rollback that a person started did to each revision of `taken_out`; nothing where it was withheld."""
    rollback = _rolled_back(result, "hand")
    if rollback is None or result.outcome is RollbackOutcome.WITHHELD:
        return ()
    at = now()
    return tuple(
        DeploymentEvent(
            id=Subject(environment, service, revision).id("rollback", run),
            kind=EventKind.ROLLBACK,
            at=at,
            environment=environment,
            service=service,
            revision=revision,
            previous=result.to_revision,
            rollback=rollback,
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
    measured = (one.observed_at for each in record.criteria if each.phase == phase for one in each.measurements)
    return max(measured, default=at)


def _failed_at(record: RunRecord) -> datetime | None:
    """When the first failure was known: a criterion fails with the last thing that it measures."""
    failures = [one for one in record.failures if one.phase in POST_DEPLOY_PHASES]
    moments = [max((each.observed_at for each in one.measurements), default=record.started) for one in failures]
    return min(moments, default=None)


def _issue(result: CriterionResult) -> str:
    reason = " ".join(result.reason.split()) or "no reason was given"
    # Cleaned before it is cut: half a secret would not be known as one.
    return redact(f"{result.phase}: {result.id}: {result.verdict}: {reason}")[:_LONGEST_ISSUE]


def _rolled_back(result: RollbackResult, by: str = "the run") -> LoggedRollback | None:
    if result.outcome is RollbackOutcome.NOT_NEEDED:
        return None
    return LoggedRollback(
        outcome=result.outcome,
        triggers=result.triggers,
        from_revision=result.from_revision,
        to_revision=result.to_revision,
        seconds=result.seconds,
        verified=result.verified,
        by=by,
    )
