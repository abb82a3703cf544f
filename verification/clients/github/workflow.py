"""GitHub Actions: start a run of the deploy workflow, once, and follow it (https://docs.github.com/rest/actions)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from verification.clients.github.client import GitHub
from verification.clients.web_api import MaybeTaken, Refused
from verification.deadline import Deadline, now, poll
from verification.errors import ObserverError
from verification.settings.observers import GitHubSettings

_CLOCKS_DIFFER = timedelta(seconds=30)
_SHOWN = 120
_LISTED_WITHIN = 8.0
_PAUSE = 1.0
_HARMLESS = {"success", "skipped", "neutral", "", None}


class _Workflow(BaseModel):
    id: int
    name: str
    path: str = ""


class _Workflows(BaseModel):
    workflows: list[_Workflow]


class _Run(BaseModel):
    id: int
    status: str | None = None
    conclusion: str | None = None
    html_url: str = ""
    display_title: str = ""
    name: str | None = None
    head_sha: str = ""
    created_at: datetime
    run_started_at: datetime | None = None  # of the latest attempt

    @property
    def seen(self) -> WorkflowRun:
        ended = self.status == "completed"
        conclusion, began = (self.conclusion or "unknown") if ended else "", self.run_started_at or self.created_at
        return WorkflowRun(self.id, self.html_url, conclusion, self.status or "", self.head_sha, began)


class _Runs(BaseModel):
    workflow_runs: list[_Run]


class _Dispatched(BaseModel):
    workflow_run_id: int
    html_url: str = ""


class _Step(BaseModel):
    name: str
    conclusion: str | None = None


class _Job(BaseModel):
    name: str
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[_Step] = []

    @property
    def seen(self) -> WorkflowJob:
        failed = next((step.name for step in self.steps if step.conclusion not in _HARMLESS), "")
        return WorkflowJob(self.name, self.conclusion or "", self.started_at, self.completed_at, failed)


class _Jobs(BaseModel):
    jobs: list[_Job]


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run. `conclusion` is empty until it has ended; then "success", "failure", "cancelled", ...

    `status` is GitHub's word ("queued", "in_progress", "waiting" for an approval, ...), `began` of the latest attempt.
    `guessed`: it is the only one that has begun since we asked, which somebody else may have done as well.
    """

    id: int
    url: str
    conclusion: str
    status: str = ""
    commit: str = ""
    began: datetime | None = None
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """A job of a run. `conclusion` as that of a run; `failed_step` is the first step that ended badly, if one did."""

    name: str
    conclusion: str
    began: datetime | None = None
    ended: datetime | None = None
    failed_step: str = ""

    @property
    def is_red(self) -> bool:
        """Whether it ended badly."""
        return self.conclusion not in _HARMLESS


class DeployWorkflow(GitHub):
    """The deploy workflow of `[github]`. Each method raises ObserverError, NotPermitted."""

    def __init__(self, settings: GitHubSettings, timeout: float, variables: Mapping[str, str]) -> None:
        """Raises NotPermitted without GITHUB_TOKEN."""
        super().__init__(settings, variables, "write access to actions", timeout)
        self._path = f"{self.path}/actions"

    def id(self) -> int:
        """The id of the workflow that has the name, or the file, of the settings."""
        wanted = self.settings.workflow
        found: list[_Workflow] = []
        for page in self.api.pages(f"{self._path}/workflows", {"per_page": "100"}):
            found += page.read(_Workflows).workflows
        for workflow in found:
            if wanted in {workflow.name, workflow.path, workflow.path.rpartition("/")[2]}:
                return workflow.id
        known = ", ".join(workflow.name for workflow in found) or "none"
        raise ObserverError(
            f"GitHub: {self.settings.repository} has no workflow {wanted!r}; it has: {known[:_SHOWN]}",
            "Mend [github] workflow in deployment.toml.",
        )

    def start(self, workflow: int, inputs: Mapping[str, str], correlation: str) -> WorkflowRun | None:
        """Start a run, by one request, and answer with it; None where it cannot be told from others.

        A request whose answer was lost is not sent again: the run is looked for. Raises MaybeTaken when none is found.
        """
        began = now()
        known = self.settings.correlation_input
        body: dict[str, object] = {
            "ref": self.settings.branch,
            "inputs": {**inputs, **({known: correlation} if known else {})},
        }
        path = f"{self._path}/workflows/{workflow}/dispatches"
        try:
            try:
                reply = self.api.post(path, {**body, "return_run_details": True})
            except Refused as refused:
                if "return_run_details" not in refused.cause:
                    raise
                reply = self.api.post(path, body)  # an older server: it took nothing
        except MaybeTaken:
            found = self._found_soon(workflow, correlation, began)
            if found is None:
                raise
            return found
        if reply.body:
            begun = reply.read(_Dispatched)
            return WorkflowRun(begun.workflow_run_id, begun.html_url, "")
        return self._found_soon(workflow, correlation, began)

    def named(self, correlation: str, since: datetime) -> WorkflowRun | None:
        """The run that a dispatch with `correlation` came to; None without `[github] correlation_input`, too."""
        return self._find(self.id(), correlation, since) if self.settings.correlation_input else None

    def run(self, number: int) -> WorkflowRun:
        """The run as it is now."""
        return self.api.get(f"{self._path}/runs/{number}").read(_Run).seen

    def failed_jobs(self, number: int) -> list[str]:
        """The names of its jobs that ended badly."""
        return [job.name for job in self.jobs(number) if job.is_red]

    def jobs(self, number: int) -> tuple[WorkflowJob, ...]:
        """The jobs of its latest attempt, in order."""
        jobs = self.api.get(f"{self._path}/runs/{number}/jobs", {"filter": "latest"}).read(_Jobs).jobs
        return tuple(job.seen for job in jobs)

    def newest(self, workflow: int, most: int) -> list[WorkflowRun]:
        """Its `most` newest runs, the newest first, whoever began them and however."""
        asked = {"branch": self.settings.branch, "per_page": str(most)}
        runs = self.api.get(f"{self._path}/workflows/{workflow}/runs", asked).read(_Runs).workflow_runs
        return [run.seen for run in sorted(runs, key=lambda run: run.id, reverse=True)]

    def cancel(self, number: int) -> None:
        """Ask for the end of a run: one that waits for a runner would move the traffic at some time nobody expects."""
        self.api.post(f"{self._path}/runs/{number}/cancel", {})

    def _found_soon(self, workflow: int, correlation: str, began: datetime) -> WorkflowRun | None:
        """A run takes a moment to be listed, and a list that cannot be read does not make it unbegun."""

        def found() -> WorkflowRun | None:
            with suppress(ObserverError):
                return self._find(workflow, correlation, began)
            return None

        return poll(found, Deadline.after(_LISTED_WITHIN), _PAUSE)

    def _find(self, workflow: int, correlation: str, began: datetime) -> WorkflowRun | None:
        """The run that came of a dispatch: by its name, else the only one that has begun since."""
        asked = {
            "event": "workflow_dispatch",
            "branch": self.settings.branch,
            "created": f">={began - _CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}",
            "per_page": "50",
        }
        runs = self.api.get(f"{self._path}/workflows/{workflow}/runs", asked).read(_Runs).workflow_runs
        recent = [run for run in runs if run.created_at >= began - _CLOCKS_DIFFER]
        if self.settings.correlation_input:
            return next((run.seen for run in recent if correlation in f"{run.display_title} {run.name or ''}"), None)
        return replace(recent[0].seen, guessed=True) if len(recent) == 1 else None
