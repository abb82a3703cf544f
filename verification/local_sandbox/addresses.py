"""The addresses of a sandbox that runs, as `python -m sandbox` prints them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from verification.settings.model import Role


class _AddressPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DeploymentNote(_AddressPart):
    """What the deploy workflow noted: which revision served before, and which one was deployed."""

    previous: str
    current: str
    commit: str


class _EnvironmentAddresses(_AddressPart):
    service: str
    url: str
    tls_url: str
    mongodb: str
    deployment: DeploymentNote


class _CloudRunAddress(_AddressPart):
    rest: str


class _SentryAddress(_AddressPart):
    url: str
    organization: str
    project: str
    token: str
    dsn: dict[Role, str]


class _SystemAddress(_AddressPart):
    url: str
    token: str


class _GitHubAddress(_SystemAddress):
    repository: str


class _PagerDutyAddress(_SystemAddress):
    routing_key: str


class _JiraAddress(_AddressPart):
    url: str
    email: str
    token: str
    issue: str


class _SmokeUser(_AddressPart):
    email: str
    password: str


class Addresses(_AddressPart):
    """The document that `python -m sandbox` prints when it is ready."""

    pid: int
    operator: str
    project: str
    region: str
    cloud_run: _CloudRunAddress
    environments: dict[Role, _EnvironmentAddresses]
    monitoring: str
    logging: str
    ca_file: str
    checkout: str
    sentry: _SentryAddress
    slack: _SystemAddress
    github: _GitHubAddress
    pagerduty: _PagerDutyAddress
    jira: _JiraAddress
    smoke_user: _SmokeUser
    gcloud_env: dict[str, str]
