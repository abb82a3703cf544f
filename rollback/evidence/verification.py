"""Judge a rollback like a deployment: does the right revision answer well, and are users well again?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rollback.evidence.recovery import recovery
from rollback.traffic import TrafficObserver
from verification.checks import must_be_deeply_healthy, must_be_healthy
from verification.clients.google.cloud_run import CloudRun
from verification.clients.service.client import Service
from verification.deadline import Deadline
from verification.errors import ObserverError, VerificationError
from verification.settings.model import Settings
from verification.verdict import Measurement, collecting

_IN_A_ROW = 3
_PAUSE = 0.3
_LOOKING = 20.0


@dataclass(frozen=True, slots=True)
class Verified:
    """The last round of checks; `problem` says what was still bad then, and is empty when all held."""

    checks: tuple[Measurement, ...]
    problem: str


def verify(settings: Settings, cloud_run: CloudRun, observer: TrafficObserver, revision: str) -> Verified:
    """Ask until everything is good three times in a row, for `settings.rollback.verify_within` at most.

    `observer` tells what serves, as it did for the shift: that an API is down says nothing about the service.

    Once is not enough: for a moment after a shift either revision may answer, and a cold one starts first. When it is
    good, users' requests are looked at.
    """
    service = Service(settings.target, settings.smoke)
    try:
        found = _until_good(_Round(settings, service, observer, revision), settings.rollback.verify_within)
    finally:
        service.close()
    if found.problem:
        return found
    users = recovery(settings, cloud_run, revision)
    return Verified((*found.checks, *users.checks), users.problem)


def _until_good(round_: _Round, seconds: float) -> Verified:
    deadline = Deadline.after(seconds)
    good, problem = 0, ""
    while True:
        # Cloud Run is asked once the service has convinced: its API allows few questions a minute.
        outcome = round_.made(with_traffic=good + 1 >= _IN_A_ROW)
        good = 0 if outcome.problem else good + 1
        problem = outcome.problem or problem
        if good >= _IN_A_ROW or not deadline.leaves(_PAUSE):
            short = f"not good {_IN_A_ROW} times in a row within {seconds:g} s: "
            short = "" if outcome.problem else short
            return outcome if good >= _IN_A_ROW else Verified(outcome.checks, f"{short}{problem or 'too slow'}")
        time.sleep(_PAUSE)


@dataclass(frozen=True, slots=True)
class _Round:
    settings: Settings
    service: Service
    observer: TrafficObserver
    revision: str

    def made(self, *, with_traffic: bool) -> Verified:
        """Ask everything once. A bad answer does not keep the other questions from being asked."""
        questions: list[Callable[[], None]] = [self._basic_health, self._deep_health, self._reported_revision]
        if with_traffic:
            questions.append(self._traffic)
        problems = []
        with collecting() as checks:
            for question in questions:
                try:
                    question()
                except VerificationError as error:
                    problems.append(error.cause)
        return Verified(tuple(checks), "; ".join(problems))

    def _basic_health(self) -> None:
        basic = self.settings.health.basic
        if basic is not None:
            must_be_healthy(self.service.get(basic.path, retry_503=False), basic)

    def _deep_health(self) -> None:
        deep = self.settings.health.deep
        if deep is not None:
            states = deep.states(self.settings.main_role)
            must_be_deeply_healthy(self.service.get(deep.path, retry_503=False), deep, states)

    def _reported_revision(self) -> None:
        reported = self.settings.health.reported_revision
        if reported is not None:
            self.service.get(reported.path, retry_503=False).field(reported.field).must_be(self.revision)

    def _traffic(self) -> None:
        seen = self.observer.observe(Deadline.after(_LOOKING))
        if not seen.complete:
            raise ObserverError(f"only {seen.source} tell what serves ({seen.text}): Cloud Run could not be asked")
        share = seen.shares.get(self.revision, 0)
        Measurement(f"traffic of {self.revision}", share, unit="%", source=seen.source, note=seen.text).must_be(100)
