"""What serves, from whoever can tell: Cloud Run's API, else gcloud, else the service itself.

A rollback must not wait for an API that is down, and must not move traffic that it cannot see: somebody may have
deployed meanwhile. gcloud asks with other credentials, at another address, in another dialect. The service itself can
only tell which revision answers: a share too small to be met is not seen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from verification.clients.google.cloud_run import CloudRun, ServiceState
from verification.clients.google.gcloud import Gcloud
from verification.clients.service.client import Service
from verification.errors import ObserverError, VerificationError
from verification.settings.model import Settings

_ALL = 100
_CLOUD_RUN_SECONDS = 5.0
_GCLOUD_SECONDS = 20.0
_SHORTEST = 1.0
_QUESTIONS = 12
_ENOUGH = 6  # answers that name a revision
_SILENCES = 2


class Blind(ObserverError):
    """Nobody could tell what serves."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Which revisions get the requests, in percent, as `source` tells.

    `moving`: a change is under way; `asked` is the revision that everything was asked to go to (empty: it is split, or
    that is not known). `whole`: a small share would be seen, too.
    """

    shares: Mapping[str, int]
    source: str
    moving: bool = False
    asked: str = ""
    whole: bool = True

    @property
    def sole_revision(self) -> str | None:
        """The revision that gets all requests, while nothing is under way; None otherwise."""
        sole = next((name for name, percent in self.shares.items() if percent == _ALL), None)
        return None if self.moving else sole

    @property
    def text(self) -> str:
        """The split in words: `a 90 %, b 10 %`."""
        return ", ".join(f"{name} {percent} %" for name, percent in self.shares.items()) or "nothing serves"


def seen_by_cloud_run(state: ServiceState) -> Seen:
    """What Cloud Run's API said."""
    return Seen(state.shares, "Cloud Run", state.moving, state.asked)


class Sight:
    """Looks at one service. Once Cloud Run's API has been `silent`, it is asked last."""

    def __init__(self, settings: Settings, cloud_run: CloudRun, gcloud: Gcloud) -> None:
        self._settings = settings
        self._cloud_run = cloud_run
        self._gcloud = gcloud
        self.silent = False

    def look(self, until: float) -> Seen:
        """What serves now; `until` (monotonic clock) bounds the looking, give or take a second. Raises Blind."""
        problems: list[str] = []
        others = (self._by_gcloud, self._by_the_service)
        for eye in (*others, self._by_cloud_run) if self.silent else (self._by_cloud_run, *others):
            try:
                return eye(max(until - time.monotonic(), _SHORTEST))
            except ObserverError as problem:
                problems.append(problem.cause)
        raise Blind("; ".join(problems))

    def _by_cloud_run(self, left: float) -> Seen:
        try:
            state = self._cloud_run.limited_to(min(left, _CLOUD_RUN_SECONDS)).service()
        except ObserverError:
            self.silent = True
            raise
        self.silent = False
        return seen_by_cloud_run(state)

    def _by_gcloud(self, left: float) -> Seen:
        found = self._gcloud.traffic(min(left, _GCLOUD_SECONDS))
        return Seen(found.shares, "gcloud", found.moving, found.asked)

    def _by_the_service(self, left: float) -> Seen:
        reported = self._settings.health.reported_revision
        if reported is None:
            raise ObserverError("the service does not say which revision answers (health.reported_revision)")
        until, named, silences = time.monotonic() + left, Counter[str](), 0
        with closing(Service(self._settings.target, self._settings.smoke)) as service:
            for _ in range(_QUESTIONS):
                if time.monotonic() > until or silences >= _SILENCES:
                    break
                try:
                    named[str(service.get(reported.path, retry_503=False).value(reported.field))] += 1
                except VerificationError:
                    silences += 1
        answers = named.total()
        if answers < _ENOUGH:
            raise ObserverError("the service itself does not say which revision answers")
        shares = {name: round(_ALL * count / answers) for name, count in named.items()}
        return Seen(shares, f"{answers} answers of the service itself", whole=False)
