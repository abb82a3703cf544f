"""The probe that writes a deployment down where people look for it: the deployment log, Sentry, GitHub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from verification.clients.github.client import DeploymentState, GitHub
from verification.clients.sentry.client import Sentry
from verification.deadline import now
from verification.errors import NotAsked, VerificationError
from verification.probe import probe
from verification.records.deployments import Deployment, DeploymentOutcome, FollowedDeployment
from verification.records.events import deployed
from verification.settings.model import Settings
from verification.settings.observers import GitHubSettings, SentrySettings
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.records.deployment_log import DeploymentLog

RECORDED, RECORDED_BEFORE = "recorded", "recorded before"


@probe
def deployment_record(
    settings: Settings,
    variables: dict[str, str],
    dry_run: bool,
    followed_deployment: FollowedDeployment,
    deployment_log: DeploymentLog,
) -> MeasurementSet:
    """Write it down wherever it is not, side by side. Raises NotAsked in a dry run."""
    deployment = followed_deployment.deployment
    if dry_run:
        raise NotAsked(f"a dry run writes nothing; {deployment.revision} would be recorded", "Run without --dry-run.")
    writers: dict[str, Callable[[], bool]] = {
        deployment_log.place: lambda: _logged(followed_deployment, deployment_log),
        **_outside(settings, variables, deployment),
    }
    with ThreadPoolExecutor(len(writers)) as pool:
        return MeasurementSet(tuple(pool.map(lambda place: _written(place, deployment, writers[place]), writers)))


def _logged(followed: FollowedDeployment, log: DeploymentLog) -> bool:
    return not followed.logged and bool(log.append([deployed(followed.deployment, now())]))


def _outside(settings: Settings, variables: Mapping[str, str], deployment: Deployment) -> dict[str, Callable[[], bool]]:
    sentry, github, role = settings.sentry, settings.github, settings.main_role
    writers: dict[str, Callable[[], bool]] = {}
    if sentry:
        writers["Sentry release"] = lambda: _sentry_deploy(sentry, variables, deployment, sentry.environment(role))
    if github:
        writers["GitHub deployment"] = lambda: _github_deployment(github, variables, deployment, role)
    return writers


def _sentry_deploy(
    settings: SentrySettings, variables: Mapping[str, str], deployment: Deployment, environment: str
) -> bool:
    with closing(Sentry(settings, variables, "project:releases and org:read")) as sentry:
        finished = deployment.first_smoke or deployment.deployed
        return sentry.record_deploy(
            _commit(deployment), environment, deployment.revision, deployment.deployed, finished
        )


def _github_deployment(
    settings: GitHubSettings, variables: Mapping[str, str], deployment: Deployment, environment: str
) -> bool:
    bad = {DeploymentOutcome.FAILED, DeploymentOutcome.ROLLED_BACK}
    state: DeploymentState = "failure" if deployment.state in bad else "success"
    with closing(GitHub(settings, variables, "write access to deployments")) as github:
        return github.record_deployment(
            _commit(deployment), environment, state, f"{deployment.revision}: {deployment.state}"
        )


def _commit(deployment: Deployment) -> str:
    if not deployment.commit:
        raise NotAsked(
            f"which commit {deployment.revision} runs is not known",
            "Deploy with the label commit-sha (google-github-actions/deploy-cloudrun sets it).",
        )
    return deployment.commit


def _written(place: str, deployment: Deployment, write: Callable[[], bool]) -> Measurement:
    commit = deployment.commit[:7] or "unknown"
    note = f"{deployment.revision}, commit {commit}, deployed {deployment.deployed:%Y-%m-%d %H:%M} UTC"
    if deployment.issues:
        note += f"; issues: {'; '.join(deployment.issues)}"
    try:
        return Measurement(place, RECORDED if write() else RECORDED_BEFORE, source=place, note=note)
    except VerificationError as problem:
        return Measurement(place, None, source=place, problem=problem)
