"""GitHub Actions: the deploy workflow, its dispatches, runs and jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import WEB, GitHubRefusal, known, not_found, page, read_body, url, user
from sandbox.github.model import LOGIN, MAIN
from sandbox.github.runs import INPUTS, JOBS, DeployJob, DeployRun, DeployRunner
from sandbox.vendor_api import asked_moment, iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.http import Body
    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

WORKFLOW_ID = 161_335
WORKFLOW_NAME = "Deploy to Production"
WORKFLOW_FILE = "deploy-production.yml"
_DEPLOYMENT = {"staging_verification": "true"}  # its inputs
_USUAL, _SLOW = timedelta(minutes=6), timedelta(minutes=16)  # that a deployment takes


class GitHubActionsEndpoints:
    """The endpoints over one repository and its one workflow. All raise GitHubRefusal."""

    def __init__(self, repository: Repository, runner: DeployRunner) -> None:
        self._repository = repository
        self._runner = runner
        self.runs: dict[int, DeployRun] = {}  # by id, oldest first

    async def workflows(self, request: Request) -> Response:
        """The workflows of the repository."""
        return JSONResponse({"total_count": 1, "workflows": [_workflow(request)]})

    async def dispatch(self, request: Request) -> Response:
        """Start a run. Without `return_run_details` the answer does not say which one."""
        _check_workflow(request)
        body = await read_body(request, "WorkflowDispatch")
        ref = body.get("ref", str, "").removeprefix("refs/heads/")
        if not ref:
            raise GitHubRefusal(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
        if ref not in self._repository.branches:
            raise GitHubRefusal(422, f"No ref found for: {ref}")
        run = self._new_run(ref, _inputs(body))
        if not body.get("return_run_details", bool, False):
            return Response(status_code=204)
        return JSONResponse({"workflow_run_id": run.id, "run_url": _url(request, run), "html_url": _html(run)})

    async def listing(self, request: Request) -> Response:
        """The runs of a workflow, newest first."""
        _check_workflow(request)
        asked = request.query_params
        created = asked.get("created", "")
        refusal = GitHubRefusal(422, "Validation Failed")
        since = asked_moment(created.removeprefix(">="), refusal) if created.startswith(">=") else None
        found = [
            run
            for run in reversed(self.runs.values())
            if asked.get("event", "workflow_dispatch") == "workflow_dispatch"
            and asked.get("branch", run.ref) == run.ref
            and (since is None or run.created.replace(microsecond=0) >= since)
        ]
        return page(request, found, self._show, "workflow_runs")

    async def read(self, request: Request) -> Response:
        """One run."""
        return JSONResponse(self._show(request, self._run(request)))

    async def jobs(self, request: Request) -> Response:
        """The jobs of a run, in order."""
        run = self._run(request)
        return page(request, run.jobs, partial(_show_job, run), "jobs")

    async def cancel(self, request: Request) -> Response:
        """Cancel a run that has not ended."""
        if not self._runner.cancel(self._run(request)):
            raise GitHubRefusal(409, "Cannot cancel a workflow run that is completed.")
        return JSONResponse({}, 202)

    def note_past(self, commit: str, at: datetime) -> None:
        """Note the run that deployed `commit`, which serves since `at`."""
        run = self._run_of(MAIN, _DEPLOYMENT, at - _USUAL, commit)
        run.end(at)

    def note_release(self, commit: str, began: datetime, red: str = "", *, slow: bool = False) -> None:
        """Note the run that a release, begun then and through now, was made by; `red` is the job that failed."""
        now = datetime.now(UTC)
        run = self._run_of(MAIN, _DEPLOYMENT, now - _SLOW if slow else began, commit)
        run.end(now, red)

    def _new_run(self, ref: str, inputs: dict[str, str]) -> DeployRun:
        run = self._run_of(ref, inputs, datetime.now(UTC), self._repository.branches[ref])
        self._runner.start(run)
        return run

    def _run_of(self, ref: str, inputs: dict[str, str], at: datetime, sha: str) -> DeployRun:
        target, correlation = inputs.get("rollback_revision", ""), inputs.get("correlation_id", "")
        title = f"Roll back to {target}" if target else WORKFLOW_NAME
        run = DeployRun(
            id=self._repository.next_id(),
            number=len(self.runs) + 1,
            title=f"{title} [{correlation}]" if correlation else title,
            ref=ref,
            sha=sha,
            inputs=inputs,
            created=at,
            updated=at,
            jobs=[DeployJob(self._repository.next_id(), name) for name in JOBS],
        )
        self.runs[run.id] = run
        return run

    def _show(self, request: Request, run: DeployRun) -> dict[str, Json]:
        return {
            "id": run.id,
            "name": WORKFLOW_NAME,
            "head_branch": run.ref,
            "head_sha": run.sha,
            "path": f".github/workflows/{WORKFLOW_FILE}",
            "display_title": run.title,
            "run_number": run.number,
            "run_attempt": 1,
            "event": "workflow_dispatch",
            "status": run.status,
            "conclusion": run.conclusion,
            "workflow_id": WORKFLOW_ID,
            "url": _url(request, run),
            "html_url": _html(run),
            "created_at": iso(run.created),
            "updated_at": iso(run.updated),
            "run_started_at": iso(run.created),
            "actor": user(LOGIN),
        }

    def _run(self, request: Request) -> DeployRun:
        return known(self.runs.get(request.path_params["id"]))


def _check_workflow(request: Request) -> None:
    if request.path_params["workflow"] not in {str(WORKFLOW_ID), WORKFLOW_FILE}:
        raise not_found()


def _inputs(body: Body) -> dict[str, str]:
    given: dict[str, object] = body.get("inputs", dict, {})
    if unknown := [name for name in given if name not in INPUTS]:
        raise GitHubRefusal(422, f"Unexpected inputs provided: {unknown}")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def _url(request: Request, run: DeployRun) -> str:
    return url(request, f"/actions/runs/{run.id}")


def _html(run: DeployRun) -> str:
    return f"{WEB}/actions/runs/{run.id}"


def _workflow(request: Request) -> dict[str, Json]:
    return {
        "id": WORKFLOW_ID,
        "name": WORKFLOW_NAME,
        "path": f".github/workflows/{WORKFLOW_FILE}",
        "state": "active",
        "url": url(request, f"/actions/workflows/{WORKFLOW_ID}"),
        "html_url": f"{WEB}/blob/main/.github/workflows/{WORKFLOW_FILE}",
    }


def _show_job(run: DeployRun, request: Request, job: DeployJob) -> dict[str, Json]:
    return {
        "id": job.id,
        "run_id": run.id,
        "run_url": _url(request, run),
        "run_attempt": 1,
        "name": job.name,
        "status": job.status,
        "conclusion": job.conclusion,
        "started_at": iso(job.started or run.created),
        "completed_at": iso(job.completed) if job.completed else None,
        "steps": [
            {"number": number, "name": name, "status": "completed", "conclusion": conclusion}
            for number, (name, conclusion) in enumerate(job.steps, start=1)
        ],
        "html_url": f"{_html(run)}/job/{job.id}",
    }
