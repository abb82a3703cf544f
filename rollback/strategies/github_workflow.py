"""Roll back by the deploy workflow on GitHub: it has credentials of its own, and runs in another place."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from contextlib import closing

from rollback.strategies.base import Shift, wait_until_serving
from rollback.strategies.workflow_requests import WorkflowRequest, WorkflowRequests
from rollback.traffic import TrafficObserver, TrafficUnknown
from verification.clients.github.workflow import DeployWorkflow, WorkflowRun
from verification.clients.web_api import MaybeTaken
from verification.deadline import Deadline
from verification.errors import ObserverError, RollbackFailed
from verification.operator_commands import shift_now
from verification.settings.observers import GitHubSettings
from verification.settings.service import CloudRunSettings

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_GREEN = "success"
_VARIABLE = "GITHUB_TOKEN"


class GitHubWorkflowStrategy:
    """By a run of `[github] workflow` with `rollback_revision`, started once and followed to its end.

    A green run proves nothing: what serves afterwards does. One that has not ended by the deadline is cancelled, so
    that it does not move traffic at some later time. One that a killed rollback began is followed, not begun again.
    """

    name = "github_workflow"

    def __init__(
        self,
        service: CloudRunSettings,
        github: GitHubSettings | None,
        variables: Mapping[str, str],
        observer: TrafficObserver,
        requests: WorkflowRequests,
        within: float,
    ) -> None:
        self._service = service
        self._github = github
        self._variables = variables
        self._observer = observer
        self._requests = requests
        self.within = within

    def obstacle(self) -> str:
        """What is not configured, or nothing."""
        if self._github is None:
            return "github is not configured"
        return "" if self._variables.get(_VARIABLE, "").strip() else f"{_VARIABLE} is not set"

    def shift_traffic(self, shift: Shift, deadline: Deadline) -> None:
        """Follow a run to its end, then see what serves, however it ended."""
        assert self._github is not None, "asked for its obstacle first"
        green = False
        try:
            with closing(DeployWorkflow(self._github, self._github.timeout, self._variables)) as workflow:
                problem, green = self._follow_run(workflow, shift.target, deadline)
        except ObserverError as failed:
            problem = failed.cause
        instead = wait_until_serving(self._observer, shift.target, deadline, likely=green)
        if instead:
            raise RollbackFailed(f"{problem}, but {instead}", shift_now(self._service, shift.target))

    def cancel_pending(self) -> str:
        """Cancel the runs whose end nobody saw; what people must do about those that could not be."""
        pending = self._requests.pending()
        if not pending:
            return ""
        problem = self.obstacle()
        if self._github is not None and not problem:
            try:
                with closing(DeployWorkflow(self._github, self._github.timeout, self._variables)) as workflow:
                    return "; ".join(filter(None, (self._cancel(workflow, request) for request in pending)))
            except ObserverError as failed:
                problem = failed.cause
        return "; ".join(_still_waiting(request, problem) for request in pending)

    def _cancel(self, workflow: DeployWorkflow, request: WorkflowRequest) -> str:
        """Cancel the run of `request`, but nothing that may be somebody else's; what people must do instead."""
        try:
            run = self._run_of(workflow, request)
            if run is None:
                return _still_waiting(request, "whether it began is not known")
            conclusion = run.conclusion or self._cancel_run(workflow, run)
        except ObserverError as problem:
            return _still_waiting(request, problem.cause)
        self._requests.note_end(request.correlation, conclusion)
        return ""

    def _run_of(self, workflow: DeployWorkflow, request: WorkflowRequest) -> WorkflowRun | None:
        """The run that came of `request`; None where that cannot be said. Raises ObserverError."""
        return workflow.run(request.run) if request.run else workflow.named(request.correlation, request.at)

    def _follow_run(self, workflow: DeployWorkflow, target: str, deadline: Deadline) -> tuple[str, bool]:
        """How the run ended, and whether it was green. Raises ObserverError."""
        for request in self._requests.pending():
            run = self._run_of(workflow, request)
            if run is not None and not run.conclusion:
                return self._follow(workflow, run, request.correlation, deadline)
            # Otherwise it is asked for again: a second run with the same target does nothing that the first does not.
        inputs = {"rollback_revision": target, "staging_verification": "false"}
        number, correlation = workflow.id(), f"rollback-{secrets.token_hex(4)}"
        self._requests.note_request(correlation)
        try:
            run = workflow.start(number, inputs, correlation)
        except MaybeTaken as lost:
            return self._wait_for_traffic(target, deadline, f"whether a run began is not known ({lost.cause})"), False
        except ObserverError as refused:
            self._requests.note_end(correlation, refused.cause)
            raise
        if run is None:
            return self._wait_for_traffic(target, deadline, "a run began that cannot be told from others"), False
        if not run.guessed:
            self._requests.note_run(correlation, run.id, run.url)
        return self._follow(workflow, run, correlation, deadline)

    def _follow(
        self, workflow: DeployWorkflow, run: WorkflowRun, correlation: str, deadline: Deadline
    ) -> tuple[str, bool]:
        pause = _FIRST_PAUSE
        number, guessed, silence = run.id, run.guessed, ""
        while not run.conclusion:
            if not deadline.leaves(pause):
                ended = "" if guessed else self._cancel_late_run(workflow, run, correlation)
                return f"the run {run.url} had not ended in time{silence}{ended}", False
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            try:
                run = workflow.run(number)
            except ObserverError as passing:  # it runs on without our looking
                silence = f" ({passing.cause})"
        self._requests.note_end(correlation, run.conclusion)
        if run.conclusion == _GREEN:
            return f"the run {run.url} ended green", True
        jobs = ""
        with contextlib.suppress(ObserverError):
            jobs = ", ".join(workflow.failed_jobs(number))
        return f"the run {run.url} ended: {run.conclusion}{f' ({jobs})' if jobs else ''}", False

    def _wait_for_traffic(self, target: str, deadline: Deadline, why: str) -> str:
        """Wait until the traffic tells of the run, as nothing else does; `why`."""
        while deadline.leaves(_LONGEST_PAUSE):
            with contextlib.suppress(TrafficUnknown):
                if self._observer.observe(deadline).sole_revision == target:
                    break
            time.sleep(_FIRST_PAUSE)
        return why

    def _cancel_late_run(self, workflow: DeployWorkflow, run: WorkflowRun, correlation: str) -> str:
        try:
            self._requests.note_end(correlation, self._cancel_run(workflow, run))
        except ObserverError:  # tried again at the end, and told then
            return ""
        return ", and was cancelled"

    def _cancel_run(self, workflow: DeployWorkflow, run: WorkflowRun) -> str:
        """How it ended. Raises ObserverError when it could not be cancelled."""
        try:
            workflow.cancel(run.id)
        except ObserverError:
            ended = workflow.run(run.id).conclusion  # by itself, in the meantime?
            if not ended:
                raise
            return ended
        return "cancelled"


def _still_waiting(request: WorkflowRequest, why: str) -> str:
    return f"{request} could not be cancelled ({why}): if it still waits, CANCEL IT, or it moves the traffic later"
