"""The probe that writes a deployment down where people look for it: the deployment log, Sentry, GitHub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verification.clients.github.client import DeploymentState, GitHub
from verification.clients.sentry.client import Sentry
from verification.deadline import now
from verification.errors import NotAsked, VerificationError
from verification.probe import probe
from verification.probes.followup.deployment import Followed
from verification.records.deployments import Deployment, State
from verification.records.events import deployed
from verification.settings.model import Settings
from verification.settings.observers import GitHubSettings, SentrySettings
from verification.verdict import Measurement, all_must_be_one_of

if TYPE_CHECKING:
    from verification.records.deployment_log import DeploymentLog

RECORDED, RECORDED_BEFORE = "recorded", "recorded before"


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """What became of each place that it is written to."""

    places: tuple[Measurement, ...]

    def must_be_complete(self) -> None:
        """Hold it to be in every place; all are recorded."""
        __tracebackhide__ = True
        all_must_be_one_of(self.places, RECORDED, RECORDED_BEFORE)


@probe
def deployment_record(
    settings: Settings,
    variables: dict[str, str],
    dry_run: bool,
    followed_deployment: Followed,
    deployment_log: DeploymentLog,
) -> DeploymentRecord:
    """Write it down wherever it is not, side by side. Raises NotAsked in a dry run."""
    one = followed_deployment.deployment
    if dry_run:
        raise NotAsked(f"a dry run writes nothing; {one.revision} would be recorded", "Run without --dry-run.")
    writers: dict[str, Callable[[], bool]] = {
        deployment_log.place: lambda: _logged(followed_deployment, deployment_log),
        **_outside(settings, variables, one),
    }
    with ThreadPoolExecutor(len(writers)) as pool:
        return DeploymentRecord(tuple(pool.map(lambda place: _written(place, one, writers[place]), writers)))


def _logged(followed: Followed, log: DeploymentLog) -> bool:
    return not followed.logged and bool(log.append([deployed(followed.deployment, now())]))


def _outside(settings: Settings, variables: Mapping[str, str], one: Deployment) -> dict[str, Callable[[], bool]]:
    sentry, github, role = settings.sentry, settings.github, settings.main_role
    writers: dict[str, Callable[[], bool]] = {}
    if sentry:
        writers["Sentry release"] = lambda: _sentry_deploy(sentry, variables, one, sentry.environment(role))
    if github:
        writers["GitHub deployment"] = lambda: _github_deployment(github, variables, one, role)
    return writers


def _sentry_deploy(settings: SentrySettings, variables: Mapping[str, str], one: Deployment, environment: str) -> bool:
    with closing(Sentry(settings, variables, "project:releases and org:read")) as sentry:
        finished = one.first_smoke or one.deployed
        return sentry.record_deploy(_commit(one), environment, one.revision, one.deployed, finished)


def _github_deployment(
    settings: GitHubSettings, variables: Mapping[str, str], one: Deployment, environment: str
) -> bool:
    state: DeploymentState = "failure" if one.state in {State.FAILED, State.ROLLED_BACK} else "success"
    with closing(GitHub(settings, variables, "write access to deployments")) as github:
        return github.record_deployment(_commit(one), environment, state, f"{one.revision}: {one.state}")


def _commit(one: Deployment) -> str:
    if not one.commit:
        raise NotAsked(
            f"which commit {one.revision} runs is not known",
            "Deploy with the label commit-sha (google-github-actions/deploy-cloudrun sets it).",
        )
    return one.commit


def _written(place: str, one: Deployment, write: Callable[[], bool]) -> Measurement:
    note = f"{one.revision}, commit {one.commit[:7] or 'unknown'}, deployed {one.deployed:%Y-%m-%d %H:%M} UTC"
    if one.issues:
        note += f"; issues: {'; '.join(one.issues)}"
    try:
        return Measurement(place, RECORDED if write() else RECORDED_BEFORE, source=place, note=note)
    except VerificationError as problem:
        return Measurement(place, None, source=place, problem=problem)
