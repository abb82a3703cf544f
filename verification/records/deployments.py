"""Deployments as the deployment log tells of them: events, appended as they happen, folded into one value for each.

Pure: no file and no database. A deployment is known by environment, service and revision. What happens to it again
(another run of the same phase) updates it; an event that was read twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from verification.errors import NotAsked
from verification.records.run_record import POST_DEPLOY_PHASES, RollbackOutcome
from verification.verdict import Verdict

T = TypeVar("T")


class EventKind(StrEnum):
    """What an event tells of its deployment."""

    DEPLOYED = "deployed"  # that it took place
    RUN = "run"  # what a run of this suite found, and did about it
    ROLLBACK = "rollback"  # that somebody rolled it back by hand
    SIGN_OFF = "sign-off"  # that a person answers for one line of the checklist


class DeploymentOutcome(StrEnum):
    """What a deployment came to."""

    GOOD = "good"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    UNCLEAR = "unclear"  # nobody verified it, or not enough was measured


class _LogModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)


class PhaseVerdict(_LogModel):
    """What a phase came to, and when its last criterion was measured."""

    verdict: Verdict
    ended: AwareDatetime


class LoggedRollback(_LogModel):
    """A rollback. `seconds` is from its start to the shifted traffic."""

    outcome: RollbackOutcome
    triggers: tuple[str, ...] = ()
    from_revision: str = ""
    to_revision: str = ""
    seconds: float | None = None
    verified: bool | None = None
    guard: str = ""
    by: str = "the run"


class SignOff(_LogModel):
    """Who answers for which line (a criterion's id)."""

    line: str
    name: str


class DeploymentEvent(_LogModel):
    """One line of the log. `id` makes it one: the same event is never kept twice. Unknown keys are passed over.

    `at` is when it happened: a run's end, a rollback's end. `failed_at` is when the first failure was measured.
    """

    version: Literal[1] = 1
    id: str
    kind: EventKind
    at: AwareDatetime
    environment: str
    service: str
    revision: str
    previous: str = ""
    commit: str = ""
    deployed: AwareDatetime | None = None
    profiles: tuple[str, ...] = ()
    phases: Mapping[str, PhaseVerdict] = {}
    failed_at: AwareDatetime | None = None
    issues: tuple[str, ...] = ()
    rollback: LoggedRollback | None = None
    sign_off: SignOff | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A line that a person answers for."""

    line: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, with the latest word on each phase.

    `deployed` is when its revision was created, or (where nobody knows) when it was first heard of; `first_smoke` when
    it was first through its smoke phase; `issues` are those of the latest run that had some.
    """

    environment: str
    service: str
    revision: str
    deployed: datetime
    previous: str = ""
    commit: str = ""
    profiles: tuple[str, ...] = ()
    phases: Mapping[str, PhaseVerdict] = field(default_factory=dict)
    first_smoke: datetime | None = None
    issues: tuple[str, ...] = ()
    failed_at: datetime | None = None
    rollback: LoggedRollback | None = None
    rolled_back_at: datetime | None = None
    signed: tuple[Signature, ...] = ()

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The latest verdict of each phase."""
        return {name: phase.verdict for name, phase in self.phases.items()}

    @property
    def state(self) -> DeploymentOutcome:
        """What it came to; a rollback stays one, whatever ran afterwards."""
        if self.rollback and self.rollback.outcome is RollbackOutcome.DONE:
            return DeploymentOutcome.ROLLED_BACK
        verdicts = [verdict for name, verdict in self.verdicts.items() if name in POST_DEPLOY_PHASES]
        if Verdict.FAIL in verdicts or (self.rollback and self.rollback.outcome is RollbackOutcome.FAILED):
            return DeploymentOutcome.FAILED
        return DeploymentOutcome.GOOD if verdicts and set(verdicts) == {Verdict.PASS} else DeploymentOutcome.UNCLEAR

    @property
    def verified(self) -> datetime | None:
        """When the last of its post-deploy phases was through, if it is good."""
        ended = [phase.ended for name, phase in self.phases.items() if name in POST_DEPLOY_PHASES]
        return max(ended) if ended and self.state is DeploymentOutcome.GOOD else None

    @property
    def duration(self) -> float | None:
        """Seconds from its revision's creation to the end of its first smoke phase; None where either is unknown."""
        return (self.first_smoke - self.deployed).total_seconds() if self.first_smoke else None

    @property
    def recovery(self) -> float | None:
        """Seconds from its first failure to the service proven well again by a rollback; None where that is unknown."""
        if not (self.failed_at and self.rolled_back_at and self.rollback and self.rollback.verified):
            return None
        return max((self.rolled_back_at - self.failed_at).total_seconds(), 0.0)

    def signature(self, line: str) -> Signature | None:
        """The latest signature under `line`."""
        return next((signature for signature in reversed(self.signed) if signature.line == line), None)


@dataclass(frozen=True, slots=True)
class FollowedDeployment:
    """The deployment that is followed up. `logged`: the deployment log told of it; else Cloud Run did."""

    deployment: Deployment
    logged: bool

    @property
    def serves(self) -> str:
        """The revision that serves since: the one before, where this one was rolled back."""
        done = self.deployment.rollback if self.deployment.state is DeploymentOutcome.ROLLED_BACK else None
        return done.to_revision if done else self.deployment.revision

    @property
    def through(self) -> datetime:
        """When it was through: verified, or rolled back, or (where nobody verified it) deployed."""
        deployment = self.deployment
        over = deployment.rolled_back_at if deployment.state is DeploymentOutcome.ROLLED_BACK else deployment.verified
        return over or deployment.deployed

    @property
    def previous(self) -> str:
        """The revision that served before it. Raises NotAsked where nobody knows."""
        if not self.deployment.previous:
            raise NotAsked(
                f"which revision served before {self.deployment.revision} is not known",
                "Name it with --previous-revision.",
            )
        return self.deployment.previous


def fold(events: Iterable[DeploymentEvent]) -> tuple[Deployment, ...]:
    """The deployments that `events` tell of, by their time, the oldest first."""
    by_deployment: dict[tuple[str, str, str], list[DeploymentEvent]] = {}
    for event in {event.id: event for event in events}.values():
        by_deployment.setdefault((event.environment, event.service, event.revision), []).append(event)
    found = map(_folded, by_deployment.values())
    return tuple(sorted(found, key=lambda deployment: (deployment.deployed, deployment.revision)))


def _folded(events: list[DeploymentEvent]) -> Deployment:
    events = sorted(events, key=lambda event: (event.at, event.id))
    first, phases = events[0], dict[str, PhaseVerdict]()
    for event in events:
        phases |= event.phases
    rollbacks = [(event.at, event.rollback) for event in events if event.rollback]
    # What came to pass outweighs a later "withheld": there was nothing left to roll back.
    done = [(at, rollback) for at, rollback in rollbacks if rollback.outcome is RollbackOutcome.DONE]
    told = done or rollbacks[-1:]
    rolled_back_at, rollback = told[0] if told else (None, None)
    signed = [(event.sign_off, event.at) for event in events if event.sign_off]
    return Deployment(
        environment=first.environment,
        service=first.service,
        revision=first.revision,
        deployed=min((event.deployed for event in events if event.deployed), default=first.at),
        previous=latest_known((event.previous for event in events), ""),
        commit=latest_known((event.commit for event in events), ""),
        profiles=tuple(dict.fromkeys(profile for event in events for profile in event.profiles)),
        phases=phases,
        first_smoke=min((event.phases["smoke"].ended for event in events if "smoke" in event.phases), default=None),
        issues=latest_known((event.issues for event in events), ()),
        failed_at=min((event.failed_at for event in events if event.failed_at), default=None),
        rollback=rollback,
        rolled_back_at=rolled_back_at,
        signed=tuple(Signature(sign_off.line, sign_off.name, at) for sign_off, at in signed),
    )


def latest_known(values: Iterable[T], otherwise: T) -> T:
    """The last of `values` that is not empty; `otherwise` where all are."""
    return next((value for value in reversed(list(values)) if value), otherwise)
