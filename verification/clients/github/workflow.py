"""GitHub Actions: start a run of the deploy workflow, once, and follow it (https://docs.github.com/rest/actions)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.github.client import HEADERS
from verification.clients.web_api import MaybeTaken, Refused, System, WebApi, token_of
from verification.errors import ObserverError
from verification.settings.observers import GitHub
from verification.verdict import now

_CLOCKS_DIFFER = timedelta(seconds=30)
_SHOWN = 120
_LISTED_WITHIN = 8.0
_PAUSE = 1.0


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Workflow(_Part):
    id: int
    name: str
    path: str = ""


class _Workflows(_Part):
    workflows: list[_Workflow]


class _Run(_Part):
    id: int
    status: str | None = None
    conclusion: str | None = None
    html_url: str = ""
    display_title: str = ""
    name: str | None = None
    created_at: datetime


class _Runs(_Part):
    workflow_runs: list[_Run]


class _Dispatched(_Part):
    workflow_run_id: int
    html_url: str = ""


class _Job(_Part):
    name: str
    conclusion: str | None = None


class _Jobs(_Part):
    jobs: list[_Job]


_WORKFLOWS, _RUN, _RUNS = TypeAdapter(_Workflows), TypeAdapter(_Run), TypeAdapter(_Runs)
_DISPATCHED, _JOBS = TypeAdapter(_Dispatched), TypeAdapter(_Jobs)


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run. `conclusion` is empty until it has ended; then "success", "failure", "cancelled", ...

    `guessed`: it is the only one that has begun since we asked, which somebody else may have done as well.
    """

    id: int
    url: str
    conclusion: str
    guessed: bool = False


class DeployWorkflow:
    """The deploy workflow of `[github]`. Each method raises ObserverError, NotPermitted."""

    def __init__(self, api: WebApi, settings: GitHub) -> None:
        self._api = api
        self._settings = settings
        self._path = f"/repos/{settings.repository}/actions"

    @classmethod
    def of(cls, settings: GitHub, timeout: float, variables: Mapping[str, str]) -> DeployWorkflow:
        """Raises NotPermitted without GITHUB_TOKEN."""
        system = System("GitHub", settings.url, "GITHUB_TOKEN", f"actions: write on {settings.repository}")
        return cls(WebApi(system, token_of(variables, system), timeout, headers=HEADERS), settings)

    def close(self) -> None:
        """End all connections."""
        self._api.close()

    def id(self) -> int:
        """The id of the workflow that has the name, or the file, of the settings."""
        wanted = self._settings.workflow
        found: list[_Workflow] = []
        for page in self._api.pages(f"{self._path}/workflows", {"per_page": "100"}):
            found += page.read(_WORKFLOWS).workflows
        for one in found:
            if wanted in {one.name, one.path, one.path.rpartition("/")[2]}:
                return one.id
        known = ", ".join(one.name for one in found) or "none"
        raise ObserverError(
            f"GitHub: {self._settings.repository} has no workflow {wanted!r}; it has: {known[:_SHOWN]}",
            "Mend [github] workflow in deployment.toml.",
        )

    def start(self, workflow: int, inputs: Mapping[str, str], correlation: str) -> WorkflowRun | None:
        """Start a run, by one request, and answer with it; None where it cannot be told from others.

        A request whose answer was lost is not sent again: the run is looked for. Raises MaybeTaken when none is found.
        """
        began = now()
        known = self._settings.correlation_input
        body: dict[str, object] = {
            "ref": self._settings.branch,
            "inputs": {**inputs, **({known: correlation} if known else {})},
        }
        path = f"{self._path}/workflows/{workflow}/dispatches"
        try:
            try:
                reply = self._api.post(path, {**body, "return_run_details": True})
            except Refused as refused:
                if "return_run_details" not in refused.cause:
                    raise
                reply = self._api.post(path, body)  # an older server: it took nothing
        except MaybeTaken:
            found = self._found_soon(workflow, correlation, began)
            if found is None:
                raise
            return found
        if reply.body:
            begun = reply.read(_DISPATCHED)
            return WorkflowRun(begun.workflow_run_id, begun.html_url, "")
        return self._found_soon(workflow, correlation, began)

    def named(self, correlation: str, since: datetime) -> WorkflowRun | None:
        """The run that a dispatch with `correlation` came to; None without `[github] correlation_input`, too."""
        return self._find(self.id(), correlation, since) if self._settings.correlation_input else None

    def run(self, number: int) -> WorkflowRun:
        """The run as it is now."""
        return _run(self._api.get(f"{self._path}/runs/{number}").read(_RUN))

    def failed_jobs(self, number: int) -> list[str]:
        """The names of its jobs that ended badly."""
        jobs = self._api.get(f"{self._path}/runs/{number}/jobs", {"filter": "latest"}).read(_JOBS).jobs
        return [one.name for one in jobs if one.conclusion not in {"success", "skipped", "neutral", None}]

    def cancel(self, number: int) -> None:
        """Ask for the end of a run: one that waits for a runner would move the traffic at some time nobody expects."""
        self._api.post(f"{self._path}/runs/{number}/cancel", {})

    def _found_soon(self, workflow: int, correlation: str, began: datetime) -> WorkflowRun | None:
        """A run takes a moment to be listed, and a list that cannot be read does not make it unbegun."""
        until = time.monotonic() + _LISTED_WITHIN
        while True:
            found = None
            with suppress(ObserverError):
                found = self._find(workflow, correlation, began)
            if found is not None or time.monotonic() + _PAUSE > until:
                return found
            time.sleep(_PAUSE)

    def _find(self, workflow: int, correlation: str, began: datetime) -> WorkflowRun | None:
        """The run that came of a dispatch: by its name, else the only one that has begun since."""
        asked = {
            "event": "workflow_dispatch",
            "branch": self._settings.branch,
            "created": f">={began - _CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}",
            "per_page": "50",
        }
        runs = self._api.get(f"{self._path}/workflows/{workflow}/runs", asked).read(_RUNS).workflow_runs
        recent = [one for one in runs if one.created_at >= began - _CLOCKS_DIFFER]
        named = [one for one in recent if correlation in f"{one.display_title} {one.name or ''}"]
        if self._settings.correlation_input:
            return _run(named[0]) if named else None
        return replace(_run(recent[0]), guessed=True) if len(recent) == 1 else None


def _run(one: _Run) -> WorkflowRun:
    ended = one.status == "completed"
    return WorkflowRun(one.id, one.html_url, (one.conclusion or "unknown") if ended else "")
