"""The probe that tells the team how a deployment ended: the checklist's message, and no word in it that is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from verification.checks import must_be_deeply_healthy, must_be_healthy
from verification.clients.slack.client import Slack, release_key
from verification.errors import NotAsked, VerificationError
from verification.probe import Probes, probe
from verification.probes.followup.watch import SecondWatch
from verification.probes.health import given
from verification.records.deployments import Deployment, DeploymentOutcome, FollowedDeployment
from verification.records.run_record import POST_DEPLOY_PHASES
from verification.settings.model import Settings
from verification.settings.observers import SlackSettings
from verification.verdict import Measurement, Verdict

if TYPE_CHECKING:
    from verification.clients.service.answer import Answer


@probe
def team_message(
    settings: Settings,
    variables: dict[str, str],
    dry_run: bool,
    followed_deployment: FollowedDeployment,
    probes: Probes,
) -> Measurement:
    """Tell the team, once for each deployment. Raises NotAsked where there is no success to tell of."""
    deployment = followed_deployment.deployment
    text = (
        rolled_back_message(settings.main_role, deployment)
        if deployment.state is DeploymentOutcome.ROLLED_BACK
        else _success(settings, deployment, probes)
    )
    return tell(given(settings.slack, "slack"), variables, deployment, text, dry_run)


def tell(
    slack: SlackSettings, variables: Mapping[str, str], deployment: Deployment, text: str, dry_run: bool
) -> Measurement:
    """Post `text` below the announcement, or in the channel: "posted" or "posted before". Raises ObserverError."""
    if dry_run:
        raise NotAsked(f"a dry run posts nothing; {slack.deployments} would be told:\n{text}", "Run without --dry-run.")
    client = Slack.of(slack, variables)
    thread = client.find(slack.deployments, release_key(deployment.commit)) if deployment.commit else None
    key = f"{'rollback' if deployment.state is DeploymentOutcome.ROLLED_BACK else 'success'}-of-{deployment.revision}"
    post = client.announce(slack.deployments, text, [text], key, thread)
    value = "posted before" if post.again else "posted"
    where = "in the thread of the announcement" if thread else "in the channel"
    return Measurement("message", value, source=f"Slack {slack.deployments}", note=f"{where}: {text}")


def success_message(role: str, deployment: Deployment, stable: str) -> str:
    """The checklist's message, filled in."""
    return (
        f"✅ {role.capitalize()} deployment complete\n"
        f"Commit: {deployment.commit or 'not known'}\n"
        f"Revision: {deployment.revision}\n"
        "Status: All health checks passing\n"
        f"Monitoring: {stable} stable"
    )


def rolled_back_message(role: str, deployment: Deployment) -> str:
    """What there is to tell of a deployment that was undone."""
    done = deployment.rollback
    assert done is not None, "it was rolled back"
    because = ", ".join(done.triggers) or "rolled back by hand"
    return (
        f"↩️ {role.capitalize()} deployment rolled back\n"
        f"Commit: {deployment.commit or 'not known'}\n"
        f"Revision: {deployment.revision} back to {done.to_revision}\n"
        f"Because of: {because}"
    )


def _success(settings: Settings, deployment: Deployment, probes: Probes) -> str:
    bad = [
        name
        for name, verdict in deployment.verdicts.items()
        if verdict is not Verdict.PASS and name in POST_DEPLOY_PHASES
    ]
    if bad:
        raise NotAsked(
            f"there is no success to tell of: {', '.join(bad)} of {deployment.revision} did not pass",
            f"`pytest -m {bad[0]} --env {settings.environment}`, then ask again.",
        )
    _must_be_healthy(settings, probes)
    return success_message(settings.main_role, deployment, _stable(settings, deployment, probes))


def _must_be_healthy(settings: Settings, probes: Probes) -> None:
    """Ask again: the smoke phase may be long ago."""
    health = settings.health
    try:
        for name, question in {"basic_health": health.basic, "readiness": health.readiness}.items():
            if question:
                must_be_healthy(cast("Answer", probes.result(name)), question)
        if health.deep:
            states = health.deep.states(settings.main_role)
            must_be_deeply_healthy(cast("Answer", probes.result("deep_health")), health.deep, states)
    except VerificationError as problem:
        raise NotAsked(f"there is no success to tell of: {problem.cause}") from None


def _stable(settings: Settings, deployment: Deployment, probes: Probes) -> str:
    """For how long it was watched and found stable: by the monitor phase, else by the second watch."""
    if settings.monitor and deployment.verdicts.get("monitor") is Verdict.PASS:
        return _duration(settings.monitor.seconds(deployment.profiles))
    try:
        watch = cast("SecondWatch", probes.result("second_watch"))
        watch.must_be_quiet(settings.limits)
    except VerificationError as problem:
        raise NotAsked(f"there is no success to tell of yet: {problem.cause}", problem.remedy) from None
    return _duration((watch.end - watch.start).total_seconds())


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
