"""Roll back by the deploy workflow on GitHub: it has credentials of its own, and runs in another place."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from contextlib import closing

from rollback.commands import at_once
from rollback.sight import Blind, Sight
from rollback.strategies import Shift, arrived
from verification.clients.github_workflow import DeployWorkflow, WorkflowRun
from verification.clients.web_api import MaybeTaken
from verification.errors import ObserverError, RollbackFailed
from verification.settings import CloudRun
from verification.settings_observers import GitHub

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_GREEN = "success"
_VARIABLE = "GITHUB_TOKEN"


class ByWorkflow:
    """By a run of `[github] workflow` with `rollback_revision`, started once and followed to its end.

    A green run proves nothing: what serves afterwards does. One that has not ended by the deadline is cancelled, so
    that it does not move traffic at some later time.
    """

    name = "github_workflow"

    def __init__(
        self, service: CloudRun, github: GitHub | None, variables: Mapping[str, str], sight: Sight, within: float
    ) -> None:
        self._service = service
        self._github = github
        self._variables = variables
        self._sight = sight
        self.within = within

    def obstacle(self) -> str:
        """See Strategy."""
        if self._github is None:
            return "github is not configured"
        return "" if self._variables.get(_VARIABLE, "").strip() else f"{_VARIABLE} is not set"

    def shift(self, shift: Shift, until: float) -> None:
        """See Strategy."""
        assert self._github is not None, "asked for its obstacle first"
        green = False
        try:
            with closing(DeployWorkflow.of(self._github, self._github.timeout, self._variables)) as workflow:
                problem, green = self._run(workflow, shift.to, until)
        except ObserverError as failed:
            problem = failed.cause
        instead = arrived(self._sight, shift.to, until, likely=green)
        if instead:
            raise RollbackFailed(f"{problem}, but {instead}", at_once(self._service, shift.to))

    def _run(self, workflow: DeployWorkflow, to: str, until: float) -> tuple[str, bool]:
        """How the run ended, and whether it was green. Raises ObserverError."""
        inputs = {"rollback_revision": to, "staging_verification": "false"}
        try:
            run = workflow.start(workflow.id(), inputs, f"rollback-{secrets.token_hex(4)}")
        except MaybeTaken as lost:
            return self._unfollowed(to, until, f"whether a run began is not known ({lost.cause})"), False
        if run is None:
            return self._unfollowed(to, until, "a run began that cannot be told from others"), False
        return self._followed(workflow, run, until)

    def _followed(self, workflow: DeployWorkflow, run: WorkflowRun, until: float) -> tuple[str, bool]:
        pause = _FIRST_PAUSE
        number, silence = run.id, ""
        while not run.conclusion:
            if time.monotonic() + pause > until:
                return f"the run {run.url} had not ended in time{silence}{self._cancelled(workflow, number)}", False
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            try:
                run = workflow.run(number)
            except ObserverError as passing:  # it runs on without our looking
                silence = f" ({passing.cause})"
        if run.conclusion == _GREEN:
            return f"the run {run.url} ended green", True
        jobs = ""
        with contextlib.suppress(ObserverError):
            jobs = ", ".join(workflow.failed_jobs(number))
        return f"the run {run.url} ended: {run.conclusion}{f' ({jobs})' if jobs else ''}", False

    def _unfollowed(self, to: str, until: float, why: str) -> str:
        """Nothing tells of the run: the traffic alone will."""
        while time.monotonic() + _LONGEST_PAUSE < until:
            with contextlib.suppress(Blind):
                if self._sight.look(until).sole_revision == to:
                    break
            time.sleep(_FIRST_PAUSE)
        return why

    def _cancelled(self, workflow: DeployWorkflow, number: int) -> str:
        try:
            workflow.cancel(number)
        except ObserverError as problem:
            return f", and could not be cancelled ({problem.cause}): CANCEL IT, or it moves the traffic later"
        return ", and was cancelled"
