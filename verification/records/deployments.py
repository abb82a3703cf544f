"""Deployments as the deployment log tells of them: events, appended as they happen, folded into one value for each.

Pure: no file and no database. A deployment is known by environment, service and revision. What happens to it again
(another run of the same phase) updates it; an event that was read twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from verification.records.run_record import POST_DEPLOY_PHASES, RollbackOutcome
from verification.verdict import Verdict


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


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PhaseVerdict(_Part):
    """What a phase came to, and when its last criterion was measured."""

    verdict: Verdict
    ended: AwareDatetime


class LoggedRollback(_Part):
    """A rollback. `seconds` is from its start to the shifted traffic."""

    outcome: RollbackOutcome
    triggers: tuple[str, ...] = ()
    from_revision: str = ""
    to_revision: str = ""
    seconds: float | None = None
    verified: bool | None = None
    by: str = "the run"


class SignOff(_Part):
    """Who answers for which line (a criterion's id)."""

    line: str
    name: str


class DeploymentEvent(_Part):
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
    phases: Mapping[str, PhaseVerdict] | None = None
    first_smoke: datetime | None = None
    issues: tuple[str, ...] = ()
    failed_at: datetime | None = None
    rollback: LoggedRollback | None = None
    rolled_back_at: datetime | None = None
    signed: tuple[Signature, ...] = ()

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The latest verdict of each phase."""
        return {name: phase.verdict for name, phase in (self.phases or {}).items()}

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
        ended = [phase.ended for name, phase in (self.phases or {}).items() if name in POST_DEPLOY_PHASES]
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
        return next((one for one in reversed(self.signed) if one.line == line), None)


def fold(events: Iterable[DeploymentEvent]) -> tuple[Deployment, ...]:
    """The deployments that `events` tell of, by their time, the oldest first."""
    known: dict[tuple[str, str, str], list[DeploymentEvent]] = {}
    for event in {one.id: one for one in events}.values():
        known.setdefault((event.environment, event.service, event.revision), []).append(event)
    return tuple(sorted(map(_folded, known.values()), key=lambda one: (one.deployed, one.revision)))


def _folded(events: list[DeploymentEvent]) -> Deployment:
    events = sorted(events, key=lambda one: (one.at, one.id))
    first, phases = events[0], dict[str, PhaseVerdict]()
    for event in events:
        phases |= event.phases
    rolled = [one for one in events if one.rollback]
    # What came to pass outweighs a later "withheld": there was nothing left to roll back.
    undone = next((one for one in rolled if one.rollback and one.rollback.outcome is RollbackOutcome.DONE), None)
    told = undone or (rolled[-1] if rolled else None)
    return Deployment(
        environment=first.environment,
        service=first.service,
        revision=first.revision,
        deployed=min((one.deployed for one in events if one.deployed), default=first.at),
        previous=_last(one.previous for one in events),
        commit=_last(one.commit for one in events),
        profiles=tuple(dict.fromkeys(profile for one in events for profile in one.profiles)),
        phases=phases,
        first_smoke=min((one.phases["smoke"].ended for one in events if "smoke" in one.phases), default=None),
        issues=next((one.issues for one in reversed(events) if one.issues), ()),
        failed_at=min((one.failed_at for one in events if one.failed_at), default=None),
        rollback=told.rollback if told else None,
        rolled_back_at=told.at if told else None,
        signed=tuple(Signature(one.sign_off.line, one.sign_off.name, one.at) for one in events if one.sign_off),
    )


def _last(texts: Iterable[str]) -> str:
    return next((one for one in reversed(list(texts)) if one), "")
