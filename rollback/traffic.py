"""What serves, from whoever can tell: Cloud Run's API, else gcloud, else the service itself.

A rollback must not wait for an API that is down, and must not move traffic that it cannot see: somebody may have
deployed meanwhile. gcloud asks with other credentials, at another address, in another dialect. The service itself can
only tell which revision answers: a share too small to be met is not seen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from verification.clients.google.cloud_run import Absent, CloudRun, RevisionState, ServiceState
from verification.clients.google.gcloud import Gcloud
from verification.clients.service.client import Service
from verification.deadline import Deadline
from verification.errors import NotPermitted, ObserverError, RollbackFailed, VerificationError
from verification.operator_commands import shift_now
from verification.records.rollback_plan import ALL
from verification.settings.model import Settings

T = TypeVar("T")

_CLOUD_RUN_WITHIN = 5.0
_GCLOUD_WITHIN = 20.0
_OTHERS_WITHIN = 30.0
_SHORTEST = 1.0
_QUESTIONS = 12
_ENOUGH_ANSWERS = 6  # that name a revision
_MOST_SILENCES = 2
_PAUSE = 0.5
_LONGEST_PATIENCE = 30.0


class TrafficUnknown(ObserverError):
    """Nobody could tell what serves."""


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """Which revisions get the requests, in percent, as `source` tells.

    `moving`: a change is under way; `requested` is the revision that everything was asked to go to (empty: it is
    split, or that is not known). `complete`: a small share would be seen, too. `silence`: why Cloud Run's own API could
    not tell, if it was asked in vain.
    """

    shares: Mapping[str, int]
    source: str
    moving: bool = False
    requested: str = ""
    complete: bool = True
    silence: str = ""

    @classmethod
    def by_cloud_run(cls, state: ServiceState) -> TrafficSplit:
        """What Cloud Run's API said."""
        return cls(state.shares, "Cloud Run", state.moving, state.asked)

    @property
    def sole_revision(self) -> str | None:
        """The revision that gets all requests, while nothing is under way; None otherwise."""
        sole = next((name for name, percent in self.shares.items() if percent == ALL), None)
        return None if self.moving else sole

    @property
    def text(self) -> str:
        """The split in words: `a 90 %, b 10 %`."""
        return ", ".join(f"{name} {percent} %" for name, percent in self.shares.items()) or "nothing serves"


class TrafficObserver:
    """Observes one service. Once Cloud Run's API has been `silent`, it is asked last."""

    def __init__(self, settings: Settings, cloud_run: CloudRun, logs: Path, variables: Mapping[str, str]) -> None:
        self._settings = settings
        self._cloud_run = cloud_run
        self._logs = logs
        self._variables = variables
        self.silent = False

    @cached_property
    def gcloud(self) -> Gcloud:
        """gcloud for the same service; its output lands in `logs`."""
        return Gcloud(self._cloud_run.settings, self._logs, self._variables)

    def observe(self, deadline: Deadline) -> TrafficSplit:
        """What serves now; `deadline` bounds it, give or take a second. Raises TrafficUnknown."""
        problems: list[str] = []
        others = (self._by_gcloud, self._by_the_service)
        for ask in (*others, self._by_cloud_run) if self.silent else (self._by_cloud_run, *others):
            try:
                return ask(max(deadline.remaining, _SHORTEST))
            except ObserverError as problem:
                problems.append(problem.cause)
        raise TrafficUnknown("; ".join(problems))

    def observe_settled(self, deadline: Deadline, target: str) -> TrafficSplit:
        """What serves, once nothing is under way; a silent API is asked again, and then the others are.

        Raises RollbackFailed with the command that sends all traffic to `target`.
        """
        try:
            return TrafficSplit.by_cloud_run(settled_service(self._cloud_run, deadline, target))
        except RollbackFailed as silence:
            self.silent = True
            try:
                split = self.observe(Deadline.after(_OTHERS_WITHIN))
            except TrafficUnknown as unknown:
                raise RollbackFailed(f"{silence.cause}; {unknown.cause}", silence.remedy) from unknown
            return replace(split, silence=silence.cause)

    def _by_cloud_run(self, within: float) -> TrafficSplit:
        try:
            state = self._cloud_run.limited_to(min(within, _CLOUD_RUN_WITHIN)).service()
        except ObserverError:
            self.silent = True
            raise
        self.silent = False
        return TrafficSplit.by_cloud_run(state)

    def _by_gcloud(self, within: float) -> TrafficSplit:
        found = self.gcloud.traffic(min(within, _GCLOUD_WITHIN))
        return TrafficSplit(found.shares, "gcloud", found.moving, found.asked)

    def _by_the_service(self, within: float) -> TrafficSplit:
        reported = self._settings.health.reported_revision
        if reported is None:
            raise ObserverError("the service does not say which revision answers (health.reported_revision)")
        deadline, named, silences = Deadline.after(within), Counter[str](), 0
        with closing(Service(self._settings.target, self._settings.smoke)) as service:
            for _ in range(_QUESTIONS):
                if deadline.is_over or silences >= _MOST_SILENCES:
                    break
                try:
                    named[str(service.get(reported.path, retry_503=False).value(reported.field))] += 1
                except VerificationError:
                    silences += 1
        answers = named.total()
        if answers < _ENOUGH_ANSWERS:
            raise ObserverError("the service itself does not say which revision answers")
        shares = {name: round(ALL * count / answers) for name, count in named.items()}
        return TrafficSplit(shares, f"{answers} answers of the service itself", complete=False)


def settled_service(cloud_run: CloudRun, deadline: Deadline, target: str) -> ServiceState:
    """What Cloud Run says serves, once nothing is under way. Raises RollbackFailed with the command for `target`."""
    return _patiently(
        lambda: _limited(cloud_run, deadline).settled_service(deadline.remaining), cloud_run, deadline, target
    )


def existing_revision(cloud_run: CloudRun, name: str, deadline: Deadline) -> RevisionState | None:
    """The revision `name`, or None when there is none. Raises RollbackFailed with the command that names it."""

    def look_up() -> RevisionState | None:
        try:
            return _limited(cloud_run, deadline).revision(name)
        except Absent:
            return None

    return _patiently(look_up, cloud_run, deadline, name)


def _limited(cloud_run: CloudRun, deadline: Deadline) -> CloudRun:
    """A client that a silent API cannot keep for long beyond `until`."""
    return cloud_run.limited_to(max(deadline.remaining, _SHORTEST))


def _patiently(ask: Callable[[], T], cloud_run: CloudRun, deadline: Deadline, target: str) -> T:
    """Ask a silent API again for a quarter of the time that is left until `deadline`, 30 s at most."""
    patience = Deadline.after(min(_LONGEST_PATIENCE, deadline.remaining / 4))
    while True:
        try:
            return ask()
        except ObserverError as problem:
            hopeless = isinstance(problem, (NotPermitted, Absent))
            if hopeless or not patience.leaves(_PAUSE):
                raise RollbackFailed(
                    problem.cause, f"{shift_now(cloud_run.settings, target)} {problem.remedy}".strip()
                ) from problem
        time.sleep(_PAUSE)
