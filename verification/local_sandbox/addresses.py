"""The addresses of a sandbox that runs, as `python -m sandbox` prints them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from verification.settings.model import Role


class _Address(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DeploymentNote(_Address):
    """What the deploy workflow noted: which revision served before, and which one was deployed."""

    previous: str
    current: str
    commit: str


class _Environment(_Address):
    service: str
    url: str
    tls_url: str
    mongodb: str
    deployment: DeploymentNote


class _CloudRunAddresses(_Address):
    rest: str


class _Sentry(_Address):
    url: str
    organization: str
    project: str
    token: str
    dsn: dict[Role, str]


class _System(_Address):
    url: str
    token: str


class _GitHub(_System):
    repository: str


class _PagerDuty(_System):
    routing_key: str


class _Jira(_Address):
    url: str
    email: str
    token: str
    issue: str


class _User(_Address):
    email: str
    password: str


class Addresses(_Address):
    """The document that `python -m sandbox` prints when it is ready."""

    pid: int
    operator: str
    project: str
    region: str
    cloud_run: _CloudRunAddresses
    environments: dict[Role, _Environment]
    monitoring: str
    logging: str
    ca_file: str
    checkout: str
    sentry: _Sentry
    slack: _System
    github: _GitHub
    pagerduty: _PagerDuty
    jira: _Jira
    smoke_user: _User
    gcloud_env: dict[str, str]
