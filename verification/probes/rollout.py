"""The probe of the systems that a rollout is judged by or told to: each is asked something cheap beforehand.

They are Cloud Run, Cloud Monitoring, Cloud Logging, Sentry, both channels in Slack, GitHub, and the smoke account. Not
asked here: MongoDB, PagerDuty, Jira, a deployment log in a database, and gcloud.

A token that has expired, or a smoke password that was changed, is found now and not when a verdict hangs on it: to the
smoke phase a login that is refused looks like a release that broke it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, cast

from verification.clients.github.client import GitHub
from verification.clients.sentry.client import Sentry
from verification.clients.slack.client import Slack
from verification.errors import NotAsked, ServiceError, VerificationError
from verification.probe import Probes, probe
from verification.settings.model import Settings
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.checks import Login
    from verification.clients.google.cloud_logging import CloudLogging
    from verification.clients.google.cloud_monitoring import CloudMonitoring
    from verification.clients.google.cloud_run import CloudRun

ANSWERS = "answers"


@probe
def rollout_sources(
    settings: Settings,
    cloud_run: CloudRun | None,
    cloud_monitoring: CloudMonitoring | None,
    cloud_logging: CloudLogging | None,
    variables: dict[str, str],
    probes: Probes,
) -> MeasurementSet:
    """Ask all systems that are configured, side by side."""
    questions = _systems(settings, variables)
    if cloud_run:
        questions["Cloud Run"] = cloud_run.service
    if cloud_monitoring:
        questions["Cloud Monitoring"] = cloud_monitoring.delay
    if cloud_logging:
        questions["Cloud Logging"] = cloud_logging.reach
    if settings.flows.login:
        questions["smoke account"] = lambda: _must_log_in(probes)
    return ask_systems(questions)


def ask_systems(questions: Mapping[str, Callable[[], object]]) -> MeasurementSet:
    """Put all `questions`, by the names of their systems; one that fails keeps no other from answering."""
    if not questions:
        nothing = NotAsked("no system is configured that a rollout could be judged by", "Look at deployment.toml.")
        return MeasurementSet((Measurement("systems", None, problem=nothing),))
    with ThreadPoolExecutor(len(questions)) as pool:
        return MeasurementSet(tuple(pool.map(_ask, questions, questions.values())))


def _ask(name: str, question: Callable[[], object]) -> Measurement:
    try:
        question()
    except VerificationError as problem:
        return Measurement(name, None, problem=problem)
    return Measurement(name, ANSWERS)


def _systems(settings: Settings, variables: Mapping[str, str]) -> dict[str, Callable[[], object]]:
    sentry, slack, github = settings.sentry, settings.slack, settings.github
    questions: dict[str, Callable[[], object]] = {}
    if sentry:
        questions["Sentry"] = lambda: _reach_sentry(Sentry(sentry, variables), sentry.production)
    if slack:
        questions[f"Slack {slack.deployments}"] = lambda: Slack.of(slack, variables).reach(slack.deployments)
        questions[f"Slack {slack.incidents}"] = lambda: Slack.of(slack, variables).reach(slack.incidents)
    if github:
        questions["GitHub"] = lambda: _reach_github(GitHub(github, variables))
    return questions


def _reach_github(github: GitHub) -> None:
    with closing(github):
        github.must_be_writable()


def _reach_sentry(sentry: Sentry, environment: str) -> None:
    with closing(sentry):
        sentry.must_know(environment)


def _must_log_in(probes: Probes) -> None:
    login = cast("Login", probes.result("login"))
    if login.problem:
        raise ServiceError(
            f"the smoke account cannot log in: {login.status.value} ({login.answer.question})",
            "Mend the account or its password (SMOKE_USER_EMAIL, SMOKE_USER_PASSWORD): "
            "after a deployment this would look like a broken release.",
        )
