"""Roll back by the deploy workflow on GitHub: it has credentials of its own, and runs in another place."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from contextlib import closing

from rollback.strategies.base import Shift, arrived
from rollback.strategies.workflow_requests import Dispatch, Dispatches
from rollback.traffic import Blind, Sight
from verification.clients.github.workflow import DeployWorkflow, WorkflowRun
from verification.clients.web_api import MaybeTaken
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import at_once
from verification.settings.model import CloudRun
from verification.settings.observers import GitHub

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_GREEN = "success"
_VARIABLE = "GITHUB_TOKEN"


class ByWorkflow:
    """By a run of `[github] workflow` with `rollback_revision`, started once and followed to its end.

    A green run proves nothing: what serves afterwards does. One that has not ended by the deadline is cancelled, so
    that it does not move traffic at some later time. One that a killed rollback began is followed, not begun again.
    """

    name = "github_workflow"

    def __init__(
        self,
        service: CloudRun,
        github: GitHub | None,
        variables: Mapping[str, str],
        sight: Sight,
        dispatches: Dispatches,
        within: float,
    ) -> None:
        self._service = service
        self._github = github
        self._variables = variables
        self._sight = sight
        self._dispatches = dispatches
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

    def withdraw(self) -> str:
        """See Strategy."""
        left = self._dispatches.open()
        if not left:
            return ""
        problem = self.obstacle()
        if self._github is not None and not problem:
            try:
                with closing(DeployWorkflow.of(self._github, self._github.timeout, self._variables)) as workflow:
                    return "; ".join(filter(None, (self._withdrawn(workflow, one) for one in left)))
            except ObserverError as failed:
                problem = failed.cause
        return "; ".join(_left_waiting(one, problem) for one in left)

    def _withdrawn(self, workflow: DeployWorkflow, one: Dispatch) -> str:
        """Cancel `one`, but nothing that may be somebody else's; what people must do instead."""
        try:
            run = self._known(workflow, one)
            if run is None:
                return _left_waiting(one, "whether it began is not known")
            how = run.conclusion or self._cancelled(workflow, run)
        except ObserverError as problem:
            return _left_waiting(one, problem.cause)
        self._dispatches.over(one.correlation, how)
        return ""

    def _known(self, workflow: DeployWorkflow, one: Dispatch) -> WorkflowRun | None:
        """The run that came of `one`; None where that cannot be said. Raises ObserverError."""
        return workflow.run(one.run) if one.run else workflow.named(one.correlation, one.at)

    def _run(self, workflow: DeployWorkflow, to: str, until: float) -> tuple[str, bool]:
        """How the run ended, and whether it was green. Raises ObserverError."""
        for one in self._dispatches.open():
            run = self._known(workflow, one)
            if run is not None and not run.conclusion:
                return self._followed(workflow, run, one.correlation, until)
            # Otherwise it is asked for again: a second run with the same target does nothing that the first does not.
        inputs = {"rollback_revision": to, "staging_verification": "false"}
        number, correlation = workflow.id(), f"rollback-{secrets.token_hex(4)}"
        self._dispatches.asked(correlation)
        try:
            run = workflow.start(number, inputs, correlation)
        except MaybeTaken as lost:
            return self._unfollowed(to, until, f"whether a run began is not known ({lost.cause})"), False
        except ObserverError as refused:
            self._dispatches.over(correlation, refused.cause)
            raise
        if run is None:
            return self._unfollowed(to, until, "a run began that cannot be told from others"), False
        if not run.guessed:
            self._dispatches.begun(correlation, run.id, run.url)
        return self._followed(workflow, run, correlation, until)

    def _followed(self, workflow: DeployWorkflow, run: WorkflowRun, correlation: str, until: float) -> tuple[str, bool]:
        pause = _FIRST_PAUSE
        number, guessed, silence = run.id, run.guessed, ""
        while not run.conclusion:
            if time.monotonic() + pause > until:
                ended = "" if guessed else self._ended(workflow, run, correlation)
                return f"the run {run.url} had not ended in time{silence}{ended}", False
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            try:
                run = workflow.run(number)
            except ObserverError as passing:  # it runs on without our looking
                silence = f" ({passing.cause})"
        self._dispatches.over(correlation, run.conclusion)
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

    def _ended(self, workflow: DeployWorkflow, run: WorkflowRun, correlation: str) -> str:
        try:
            self._dispatches.over(correlation, self._cancelled(workflow, run))
        except ObserverError:  # tried again at the end, and told then
            return ""
        return ", and was cancelled"

    def _cancelled(self, workflow: DeployWorkflow, run: WorkflowRun) -> str:
        """How it ended. Raises ObserverError when it could not be cancelled."""
        try:
            workflow.cancel(run.id)
        except ObserverError:
            ended = workflow.run(run.id).conclusion  # by itself, in the meantime?
            if not ended:
                raise
            return ended
        return "cancelled"


def _left_waiting(one: Dispatch, why: str) -> str:
    return f"{one} could not be cancelled ({why}): if it still waits, CANCEL IT, or it moves the traffic later"
