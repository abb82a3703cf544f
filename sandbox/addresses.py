"""The address document: everything a program needs to know to use the sandbox. Its JSON form is stable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypedDict

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CloudRunAddresses:
    """The Cloud Run APIs. `proxy` takes absolute-form requests, as gcloud sends them to an HTTP proxy."""

    rest: str
    grpc: str  # host:port
    proxy: str


@dataclass(frozen=True, slots=True)
class EnvironmentAddresses:
    """One environment's service, its database, the addresses of its tags and its latest deployment."""

    service: str
    url: str
    tls_url: str
    mongodb: str
    tags: dict[str, str]
    deployment: dict[str, str]  # the latest, as a deploy workflow would have noted it down


@dataclass(frozen=True, slots=True)
class SentryAddresses:
    """Sentry: `url` without the path of its Web API, slugs, a token for that, and a DSN for each environment."""

    url: str
    organization: str
    project: str
    token: str
    dsn: dict[str, str]


@dataclass(frozen=True, slots=True)
class SlackAddress:
    """Slack: at `url` a page to read, below `{url}/api/` the Web API. The second token may not post."""

    url: str
    token: str
    token_without_scope: str


@dataclass(frozen=True, slots=True)
class GitHubAddress:
    """GitHub's REST API, and owner/name of the one repository. The second token may read only."""

    url: str
    token: str
    token_without_scope: str
    repository: str


@dataclass(frozen=True, slots=True)
class PagerDutyAddress:
    """PagerDuty's REST API and, at the same address, its Events API with a key of its own."""

    url: str
    token: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class StatuspageAddress:
    """The status page, which anybody may read."""

    url: str


@dataclass(frozen=True, slots=True)
class JiraAddress:
    """Jira's REST API: the name and the token of an account, and the issue that is there."""

    url: str
    email: str
    token: str
    issue: str


class VendorAddresses(TypedDict):
    """The systems around a deployment that people write to."""

    slack: SlackAddress
    github: GitHubAddress
    pagerduty: PagerDutyAddress
    statuspage: StatuspageAddress
    jira: JiraAddress


@dataclass(frozen=True, slots=True)
class UserAddress:
    """The credentials of the synthetic user."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class AddressDocument:
    """The whole document. `gcloud_env` is the environment in which an unmodified gcloud talks to the sandbox."""

    pid: int
    operator: str
    project: str
    region: str
    cloud_run: CloudRunAddresses
    environments: dict[str, EnvironmentAddresses]
    monitoring: str  # Cloud Monitoring over gRPC: host:port
    logging: str  # Cloud Logging over HTTP
    sentry: SentryAddresses
    slack: SlackAddress
    github: GitHubAddress
    pagerduty: PagerDutyAddress
    statuspage: StatuspageAddress
    jira: JiraAddress
    ca_file: str
    checkout: str  # the folder of the service's source; empty where there is no git
    smoke_user: UserAddress
    gcloud_env: dict[str, str]

    def as_json(self) -> dict[str, object]:
        """The document as JSON-ready values."""
        return {"schema": SCHEMA, **asdict(self)}

    def as_line(self) -> str:
        """The document as one line of JSON."""
        return json.dumps(self.as_json(), separators=(",", ":"))
