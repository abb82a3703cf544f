"""Runs of the deploy workflow: their inputs, their jobs, and the changes that they make to Cloud Run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from sandbox.platform.changes import Change
from sandbox.platform.errors import ApiError
from sandbox.platform.model import TrafficTarget
from sandbox.platform.tasks import TaskSet

if TYPE_CHECKING:
    from sandbox.platform.control_plane import ControlPlane

Conclusion = Literal["success", "failure", "cancelled", "skipped"]
Status = Literal["queued", "in_progress", "completed"]

STEPS = {  # of each job
    "validate-inputs": ("Check the inputs",),
    "build": ("Check out", "Build the image", "Push the image"),
    "deploy": ("Authenticate", "Deploy to Cloud Run"),
    "health-check": ("Ask the new revision",),
}
JOBS = tuple(STEPS)
INPUTS = ("staging_verification", "rollback_revision", "correlation_id")
_JOB_SECONDS = 0.15
_IDLE_SECONDS = 0.05


class _JobError(Exception):
    """A job that fails, and why."""


@dataclass(slots=True)
class DeployJob:
    """One job of a run. Where it fails, its last step does."""

    id: int
    name: str
    status: Status = "queued"
    conclusion: Conclusion | None = None
    started: datetime | None = None
    completed: datetime | None = None

    @property
    def steps(self) -> tuple[tuple[str, Conclusion], ...]:
        """What it did, by name, and how each step ended; nothing while it runs, or where it never ran."""
        if self.conclusion is None or self.conclusion == "skipped":
            return ()
        *before, last = STEPS[self.name]
        return (*((name, "success") for name in before), (last, self.conclusion))


@dataclass(slots=True)
class DeployRun:
    """One run of the workflow; `inputs` has a text for each input."""

    id: int
    number: int
    title: str
    ref: str
    sha: str
    inputs: Mapping[str, str]
    created: datetime
    updated: datetime
    jobs: list[DeployJob]
    status: Status = "queued"
    conclusion: Conclusion | None = None

    @property
    def rollback_revision(self) -> str:
        """Where it shall go back to; empty for a deployment."""
        return self.inputs.get("rollback_revision", "")

    def end(self, at: datetime, red: str = "") -> None:
        """Note that all of its jobs are through; `red` is the one that failed, which those after it did not outlive."""
        failed, share = False, (at - self.created) / len(self.jobs)
        for number, job in enumerate(self.jobs):
            job.status, job.conclusion = "completed", "skipped" if failed else "success"
            job.started, job.completed = self.created + number * share, self.created + (number + 1) * share
            if job.name == red:
                job.conclusion, failed = "failure", True
        self.status, self.conclusion, self.updated = "completed", "failure" if failed else "success", at


class DeployRunner:
    """Carries runs out, one after another as the workflow's concurrency group has it, on one Cloud Run service."""

    def __init__(self, control: ControlPlane, service: str) -> None:
        self._control = control
        self._service = service
        self._one_at_a_time = asyncio.Lock()
        self._under_way = TaskSet()
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by the id of the run

    def start(self, run: DeployRun) -> None:
        """Begin; it takes a little while."""
        self._tasks[run.id] = self._under_way.start(self._carry_out(run))

    def cancel(self, run: DeployRun) -> bool:
        """Whether it was still there to be cancelled."""
        if run.status == "completed":
            return False
        self._tasks[run.id].cancel()
        for job in run.jobs:
            if job.status != "completed":
                _end(job, "cancelled")
        _finish(run, "cancelled")
        return True

    async def close(self) -> None:
        """Leave whatever is under way."""
        await self._under_way.cancel()

    async def _carry_out(self, run: DeployRun) -> None:
        while "workflow-hangs" in self._control.faults:  # noqa: ASYNC110  # nobody would set an event for it
            await asyncio.sleep(_IDLE_SECONDS)
        async with self._one_at_a_time:
            run.status, run.updated = "in_progress", datetime.now(UTC)
            failed = False
            for job in run.jobs:
                if failed or (job.name == "build" and run.rollback_revision):
                    _end(job, "skipped")
                    continue
                failed = not await self._done(run, job)
            _finish(run, "failure" if failed else "success")

    async def _done(self, run: DeployRun, job: DeployJob) -> bool:
        """Whether the job ended well."""
        job.status, job.started = "in_progress", datetime.now(UTC)
        await asyncio.sleep(_JOB_SECONDS)
        try:
            if job.name == "validate-inputs":
                if not run.rollback_revision and run.inputs.get("staging_verification") != "true":
                    raise _JobError("staging_verification must be true for a new deployment")
            elif job.name == "build" and "build-red" in self._control.faults:
                raise _JobError("docker build: exit code 1")
            elif job.name == "deploy" and "workflow-idle" not in self._control.faults:
                await self._deploy(run)
            elif job.name == "health-check":
                self._check_health(run)
        except (_JobError, ApiError):
            _end(job, "failure")
            return False
        _end(job, "success")
        return True

    async def _deploy(self, run: DeployRun) -> None:
        if "cloud-run-down" in self._control.faults:
            raise _JobError("gcloud: HttpError 503: the service is currently unavailable")
        target = run.rollback_revision
        if not target:
            await self._control.deploy(self._service, faults=frozenset(), commit=run.sha)
            return
        service = self._control.service(self._service)
        tags = [TrafficTarget(line.revision, 0, line.tag) for line in service.traffic if line.tag]
        operation = await self._control.update(self._service, Change(traffic=[TrafficTarget(target, 100), *tags]), None)
        await operation.finished.wait()
        if operation.error is not None:
            raise operation.error

    def _check_health(self, run: DeployRun) -> None:
        """As the workflow does it: what serves must be Ready. That it answers well is for others to find out."""
        if "health-check-red" in self._control.faults and not run.rollback_revision:
            raise _JobError("curl: (28) Operation timed out")
        service = self._control.service(self._service)
        if not any(service.revisions[line.revision or ""].ready for line in service.serving if line.percent):
            raise _JobError("nothing that is Ready serves")


def _end(job: DeployJob, conclusion: Conclusion) -> None:
    now = datetime.now(UTC)
    job.status, job.conclusion, job.completed = "completed", conclusion, now
    job.started = job.started or now


def _finish(run: DeployRun, conclusion: Conclusion) -> None:
    run.status, run.conclusion, run.updated = "completed", conclusion, datetime.now(UTC)
