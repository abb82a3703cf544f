"""A rollback that a person asks for: which revision is meant by "-n 1", and what to do when nobody knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollback.executor import Order
from rollback.previous_revision import Previous, candidates, candidates_text, find_previous
from rollback.reading import existing_revision, settled_service
from rollback.serving_history import History, ServingRecord
from verification.clients.google.cloud_run import CloudRun, RevisionState, ServiceState
from verification.errors import ObserverError, RollbackFailed, RollbackWithheld
from verification.operator_commands import at_once, by_hand
from verification.settings.model import Settings

Ask = Callable[[Sequence[RevisionState], str], str]
"""Shows the candidates and why one must be chosen; answers with the name of one, or with nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for: `steps` back, or a revision by `name`. `ask` is None where nobody sits at a terminal."""

    steps: int
    name: str
    given: tuple[str, str] | None
    ask: Ask | None


def order_for(request: Request, settings: Settings, cloud_run: CloudRun, history: ServingRecord) -> Order:
    """What is to be undone. Raises RollbackWithheld (with the command to paste), RollbackFailed (Cloud Run silent)."""
    until = time.monotonic() + settings.rollback.shift_within
    state = settled_service(cloud_run, until, request.name)
    try:
        return _Choice(request, settings, cloud_run, history, state, until).made()
    except ObserverError as problem:
        raise RollbackFailed(problem.cause, at_once(cloud_run.settings, request.name)) from problem


def commit_of(cloud_run: CloudRun, revision: str) -> str:
    """The commit that `revision` was made from; empty where that cannot be said."""
    try:
        return cloud_run.revision(revision).commit
    except ObserverError:
        return ""


@dataclass(frozen=True, slots=True)
class _Choice:
    request: Request
    settings: Settings
    cloud_run: CloudRun
    history: ServingRecord
    state: ServiceState
    until: float

    def made(self) -> Order:
        target, evidence = self._target()
        found = existing_revision(self.cloud_run, target, self.until)
        if found is None:
            raise RollbackWithheld(
                f"there is no revision {target}", f"Look at `python -m rollback status -e {self._environment}`"
            )
        # Going forward again, to a newer revision, is no judgement on the older one.
        newer = [name for name in self.state.shares if name != target and self._created_after(name, found)]
        return Order(self.state.shares, target, evidence, tuple(newer))

    @property
    def _environment(self) -> str:
        return self.settings.environment

    def _target(self) -> tuple[str, str]:
        if self.request.name:
            return self.request.name, "named by hand"
        name = self.state.sole_revision
        if name is None:
            raise RollbackWithheld(
                f"the traffic is split ({self.state.traffic_text}), so that it is not clear what a step back is",
                f"Name the revision that shall serve: `{by_hand(self._environment)}`",
            )
        serving = self.cloud_run.revision(name)
        self.history.observe(self.cloud_run.settings, name, serving.created)
        past = self.history.of(self.cloud_run.settings)
        undone = past.undone_in_favour_of(name)
        if undone is not None:
            return self._again(name, undone.revision)
        return self._steps_back(serving, past)

    def _again(self, serving: str, taken_out: str) -> tuple[str, str]:
        """After a rollback, "one step back" has been done: asked twice, it must not go back twice."""
        if self.request.steps == 1:
            return serving, f"serving record: {taken_out} was rolled back already"
        raise RollbackWithheld(
            f"{serving} serves because {taken_out} was rolled back already, so that it is not clear what "
            f"{self.request.steps} steps are",
            f"Name the revision that shall serve: `{by_hand(self._environment)}`",
        )

    def _steps_back(self, serving: RevisionState, past: History) -> tuple[str, str]:
        given = self.request.given
        if given is not None and given[0] == serving.name and self.request.steps == 1:
            return serving.name, f"{given[1]} names it as the previous one, and it serves already"
        found = Previous()
        at = serving
        for step in range(self.request.steps):
            found = find_previous(self.cloud_run, past, at, given if step == 0 else None)
            if found.problem:
                return self._asked(serving, found.problem)
            at = self.cloud_run.revision(found.revision)
        return found.revision, found.evidence

    def _asked(self, serving: RevisionState, problem: str) -> tuple[str, str]:
        possible = candidates(self.cloud_run, serving)
        if self.request.ask is not None and possible:
            name = self.request.ask(possible, problem)
            if name:
                return name, "chosen by hand"
        shown = "" if candidates_text(possible) in problem else f" {candidates_text(possible)}"
        raise RollbackWithheld(
            f"{problem}{shown}", f"Name the revision that shall serve: `{by_hand(self._environment)}`"
        )

    def _created_after(self, name: str, other: RevisionState) -> bool:
        found = existing_revision(self.cloud_run, name, self.until)
        return found is not None and found.created > other.created
