"""What is known at the start of a run, and whether a rollback would be possible: said before it is needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime

from rollback.previous_revision import Previous, find_previous
from rollback.serving_history import History, ServingRecord
from verification.clients.google.cloud_run import CloudRun, RevisionState, ServiceState
from verification.errors import ObserverError
from verification.operator_commands import by_hand
from verification.records.journal import Journal
from verification.settings.model import Settings
from verification.settings.units import duration_text
from verification.verdict import now

_SURVEY_SECONDS = 15.0
_CLOCKS_DIFFER = 300.0


@dataclass(frozen=True)
class Known:
    """What was known at the start of the run.

    `revision` is the one that serves everything (empty: unknown, or the traffic is split), `previous` the one to go
    back to (empty: unknown) and `evidence` where that is known from. `obstacles`: why no rollback would be possible.
    """

    serving: ServiceState | None
    revision: str
    created: datetime | None
    commit: str
    previous: str
    evidence: str
    obstacles: tuple[str, ...]


def survey(settings: Settings, cloud_run: CloudRun, history: ServingRecord, given: tuple[str, str] | None) -> Known:
    """What serves, what served before, and what stands in the way of a rollback; notes the observation. Never raises.

    `given`: the previous revision as somebody noted it, and who ("variable PREVIOUS_REVISION"). Takes 15 s at most.
    """
    try:
        known = _Survey(settings, cloud_run, history, given).made()
    except Exception as error:  # whatever it is, the run goes on, and says that there is no net
        reason = error.cause if isinstance(error, ObserverError) else f"{type(error).__name__}: {error}"
        known = Known(
            None,
            "",
            None,
            "",
            given[0] if given else "",
            given[1] if given else "",
            (f"what serves is unknown: {reason}",),
        )
    if settings.rollback.policy == "manual":
        manual = f'rollback.policy of {settings.environment} is "manual": a person decides'
        known = replace(known, obstacles=(manual, *known.obstacles))
    return known


def arm(journal: Journal, known: Known, settings: Settings, cloud_run: CloudRun) -> None:
    """Write what is known into the run's journal, before anything is judged."""
    journal.armed(
        cloud_run.settings,
        environment=settings.environment,
        policy=settings.rollback.policy,
        revision=known.revision,
        created=known.created,
        previous=known.previous,
        evidence=known.evidence,
        obstacles=known.obstacles,
    )


def too_old(created: datetime | None, settings: Settings) -> str:
    """Why a revision created then is not rolled back unasked, or nothing."""
    limit = settings.rollback.deployed_within
    if created is None:
        return "when the serving revision was created is not known"
    age = (now() - created).total_seconds()
    if age < -_CLOCKS_DIFFER:
        return (
            f"the clock of this machine is wrong: by it the serving revision, created {created:%Y-%m-%d %H:%M} UTC, "
            "does not exist yet, so whether it is a new release is not known"
        )
    if age <= limit:
        return ""
    return (
        f"the serving revision was created {created:%Y-%m-%d %H:%M} UTC, longer ago than rollback.deployed_within "
        f"({duration_text(limit)}): that is no new release"
    )


def already_undone(past: History, revision: str) -> str:
    """Why a revision that serves because of a rollback is not rolled back in its turn, or nothing."""
    taken_out = past.undone_in_favour_of(revision)
    if taken_out is None:
        return ""
    return (
        f"{revision} serves because {taken_out.revision} was rolled back {taken_out.observed_at:%Y-%m-%d %H:%M} UTC: "
        "no further back without a person"
    )


class _Survey:
    def __init__(
        self, settings: Settings, cloud_run: CloudRun, history: ServingRecord, given: tuple[str, str] | None
    ) -> None:
        self._settings = settings
        self._patient = cloud_run
        self._until = time.monotonic() + _SURVEY_SECONDS
        self._history = history
        self._given = given
        self._obstacles: list[str] = []

    def made(self) -> Known:
        at_first = self._cloud_run.service()
        state = self._cloud_run.settled_service(self._left) if at_first.moving else at_first
        self._check_permission()
        name = state.sole_revision
        if name is None:
            self._obstacles.append(
                f"the traffic is split ({state.traffic_text}): which revision would be at fault is not known"
            )
            return Known(state, "", None, "", "", "", tuple(self._obstacles))
        failing = self._cloud_run.revision(name)
        past = self._observed(failing)
        previous = self._previous(failing, past)
        self._obstacles += filter(None, (too_old(failing.created, self._settings), already_undone(past, name)))
        if at_first.moving:  # the questions are asked meanwhile: what fails may be the revision that served until then
            self._obstacles.append(
                "the service was being changed while its questions were asked, so which revision answered is not known"
            )
            previous = Previous()
        return Known(
            state, name, failing.created, failing.commit, previous.revision, previous.evidence, tuple(self._obstacles)
        )

    @property
    def _left(self) -> float:
        return max(self._until - time.monotonic(), 0.1)

    @property
    def _cloud_run(self) -> CloudRun:
        return self._patient.limited_to(self._left)

    def _check_permission(self) -> None:
        try:
            if not self._cloud_run.may_update():
                self._obstacles.append(
                    "these credentials lack the permission run.services.update (grant roles/run.developer on the "
                    "service, and roles/iam.serviceAccountUser on its own account)"
                )
        except ObserverError as error:
            self._obstacles.append(f"whether these credentials may roll back is not known: {error.cause}")

    def _observed(self, failing: RevisionState) -> History:
        service = self._patient.settings
        problem = self._history.observe(service, failing.name, failing.created)
        if problem:
            self._obstacles.append(f"{problem}: the next run will not know what served now")
        return self._history.of(service)

    def _previous(self, failing: RevisionState, past: History) -> Previous:
        try:
            found = find_previous(self._cloud_run, past, failing, self._given)
        except ObserverError as error:
            found = Previous(problem=f"the previous revision could not be looked up: {error.cause}")
        if found.problem:
            self._obstacles.append(
                f"{found.problem.rstrip('.')}. Roll back with `{by_hand(self._settings.environment)}`."
            )
        return found
