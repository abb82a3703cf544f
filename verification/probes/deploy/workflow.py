"""Probes of the deploy workflow: the run that is under way, or was last, and what it deployed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from verification.clients.github.workflow import DeployWorkflow, WorkflowJob, WorkflowRun
from verification.deadline import Deadline, poll
from verification.errors import NotAsked, NotPermitted, ObserverError
from verification.probe import probe
from verification.probes.health import given
from verification.settings.model import Settings
from verification.settings.units import duration_text
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import CloudRun, RevisionState
    from verification.probes.revision import Traffic
    from verification.records.rollback_plan import NamedRevisions

GREEN = "success"
SKIPPED = "skipped"
_LOOKED_AT = 10  # runs
_PAUSE = 3.0  # seconds
_CLOCKS_DIFFER = timedelta(seconds=30)
_STANDING_STILL = {
    "waiting": "it waits for an approval: give it, or refuse it, on its page",
    "queued": "it waits for a runner, or for a run before it",
}


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A run of the deploy workflow with the jobs of its latest attempt."""

    run: WorkflowRun
    jobs: tuple[WorkflowJob, ...]

    @property
    def rolls_back(self) -> bool:
        """Whether it builds nothing, though nothing before that failed: it goes back to a revision that is there."""
        red = next((number for number, job in enumerate(self.jobs) if job.is_red), len(self.jobs))
        return any(job.conclusion == SKIPPED for job in self.jobs[:red])

    @property
    def began(self) -> datetime | None:
        """When its latest attempt did."""
        return self.run.began

    @property
    def ended(self) -> datetime | None:
        """When the last of its jobs did."""
        return max((job.ended for job in self.jobs if job.ended), default=None)

    @property
    def results(self) -> MeasurementSet:
        """How each of its jobs ended, and the whole."""
        whole = Measurement("workflow run", self.run.conclusion, source=self.run.url)
        return MeasurementSet((*map(self._result, self.jobs), whole))

    @property
    def duration(self) -> Measurement:
        """How long its latest attempt took, in seconds."""
        name, began, ended = "deployment duration", self.began, self.ended
        if began is None or ended is None:
            problem = ObserverError(f"GitHub does not say when {self.run.url} began and ended")
            return Measurement(name, None, unit="s", source=self.run.url, problem=problem)
        longest = max(self.jobs, key=_seconds)
        note = f"the longest job: {longest.name}, {_seconds(longest):.0f} s"
        return Measurement(name, round((ended - began).total_seconds(), 1), unit="s", source=self.run.url, note=note)

    def _result(self, job: WorkflowJob) -> Measurement:
        notes = [f"{_seconds(job):.0f} s"] if job.began and job.ended else []
        notes += [f"it failed at the step {job.failed_step!r}"] if job.is_red and job.failed_step else []
        note = "; ".join(notes)
        return Measurement(f"job {job.name}", job.conclusion or "missing", source=self.run.url, note=note)


@probe
def workflow_run(settings: Settings, variables: dict[str, str]) -> FollowedRun:
    """The deployment that is under way at GitHub, or else the last one, once it has ended. Raises ObserverError."""
    github, within = given(settings.github, "github"), settings.deploy.within
    with closing(DeployWorkflow(github, github.timeout, variables)) as workflow:
        return _Follower(workflow).ended(within)


@probe
def deployment_run(
    workflow_run: FollowedRun, cloud_run: CloudRun, traffic: Traffic, named: NamedRevisions
) -> FollowedRun:
    """The run that made the deployed revision, or that failed before it could. Raises NotAsked where none did."""
    revision = cloud_run.revision(named.revision or traffic.state.latest_created)
    if workflow_run.run.conclusion == GREEN:
        must_have_made(workflow_run, revision)
    return workflow_run


def must_have_made(followed: FollowedRun, revision: RevisionState) -> None:
    """Hold that the revision was created during the run, and of its commit. Raises NotAsked."""
    run, began, ended = followed.run, followed.began, followed.ended
    remedy = "Name the revision with --revision, or look at who deployed it, and how."
    if began and ended and not began - _CLOCKS_DIFFER <= revision.created <= ended + _CLOCKS_DIFFER:
        raise NotAsked(
            f"{revision.name}, created {revision.created:%Y-%m-%d %H:%M:%S} UTC, is not of the last run of the deploy "
            f"workflow, {began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S} ({run.url})",
            remedy,
        )
    if run.commit and revision.commit and run.commit != revision.commit:
        raise NotAsked(f"{revision.name} is of the commit {revision.commit}, {run.url} of {run.commit}", remedy)


class _Follower:
    """Looks at the workflow until the newest deployment has ended; what GitHub cannot answer now, it may later."""

    def __init__(self, workflow: DeployWorkflow) -> None:
        self._workflow = workflow
        self._id = 0
        self._problem: ObserverError | None = None
        self._open: FollowedRun | None = None

    def ended(self, within: float) -> FollowedRun:
        found = poll(self._look, Deadline.after(within), _PAUSE)
        if found is not None:
            return found
        if self._open is None:
            assert self._problem is not None
            raise self._problem
        run = self._open.run
        why = _STANDING_STILL.get(run.status, "look at its page; settings: deploy.within")
        raise ObserverError(f"{run.url} has not ended within {duration_text(within)} ({run.status})", f"{why}.")

    def _look(self) -> FollowedRun | None:
        """The deployment, if it has ended. Raises NotPermitted; any other problem is kept for the end."""
        try:
            found = self._newest()
        except NotPermitted:
            raise
        except ObserverError as problem:
            self._problem = problem
            return None
        self._open = found
        return found if found.run.conclusion else None

    def _newest(self) -> FollowedRun:
        self._id = self._id or self._workflow.id()
        runs = self._workflow.newest(self._id, _LOOKED_AT)
        open_ = [run for run in runs if not run.conclusion]
        deployments = [followed for followed in map(self._followed, open_) if not followed.rolls_back]
        if len(deployments) > 1:
            raise ObserverError(
                f"{len(deployments)} deployments are under way: {_listed(deployments)}; which is meant is not known",
                "Wait for them, or cancel those that are not wanted.",
            )
        ended = (followed for followed in map(self._followed, runs) if not followed.rolls_back)
        found = next(iter(deployments), None) or next(ended, None)
        if found is None:
            name = self._workflow.settings.workflow
            raise NotAsked(f"GitHub: {name!r} has not deployed anything yet", "Run it, or look at [github] workflow.")
        return found

    def _followed(self, run: WorkflowRun) -> FollowedRun:
        return FollowedRun(run, self._workflow.jobs(run.id))


def _listed(found: Iterable[FollowedRun]) -> str:
    return ", ".join(followed.run.url for followed in found)


def _seconds(job: WorkflowJob) -> float:
    return (job.ended - job.began).total_seconds() if job.began and job.ended else 0.0
