"""`[sentry]`, `[slack]`, `[github]`, `[jira]`, `[incidents]`, `[people]`: systems that are asked, and people's.

Tokens never stand here; they come from SENTRY_AUTH_TOKEN, SENTRY_DSN, SLACK_BOT_TOKEN, GITHUB_TOKEN, PAGERDUTY_TOKEN
and PAGERDUTY_ROUTING_KEY.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from verification.settings.tables import Address, Table, Text, is_local
from verification.settings.units import Seconds


def keeps_secrets(url: str) -> bool:
    """Whether a token may travel to `url`: over TLS, or without leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_local(parts.hostname or ""))


def _private(url: str) -> str:
    if not keeps_secrets(url):
        raise ValueError('a token is sent there: expected "https://" ("http://" only on this machine)')
    return url


PrivateAddress = Annotated[Address, AfterValidator(_private)]
Impact = Literal["none", "minor", "major", "critical"]
Urgency = Literal["high", "low"]


class SentrySettings(Table):
    """`[sentry]`: `project` is its slug; `staging` and `production` are what Sentry calls these environments.

    An issue of one of `critical_priorities` or `critical_levels` is what the checklist calls P0/P1.
    """

    url: PrivateAddress = "https://sentry.io"
    organization: Text
    project: Text
    staging: Text = "staging"
    production: Text = "production"
    critical_priorities: list[Text] = ["high"]
    critical_levels: list[Text] = ["fatal"]
    timeout: Seconds = Field(default=20, gt=0, le=300)
    canary_within: Seconds = Field(default=60, gt=0, le=600)

    def environment(self, role: str) -> str:
        """What Sentry calls the environment of `role`."""
        return self.production if role == "production" else self.staging


class SlackSettings(Table):
    """`[slack]`: the channels, as `#name` or by id."""

    url: PrivateAddress = "https://slack.com/api"
    deployments: Text
    incidents: Text
    timeout: Seconds = Field(default=20, gt=0, le=300)


class GitHubSettings(Table):
    """`[github]`: the repository (owner/name) and its deploy workflow, by its name or its file.

    `correlation_input`: an input of the workflow that its `run-name` shows, by which a run of ours is known again.
    """

    url: PrivateAddress = "https://api.github.com"
    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    workflow: Text
    branch: Text = "main"
    correlation_input: str = ""
    timeout: Seconds = Field(default=20, gt=0, le=300)


class JiraSettings(Table):
    """`[jira]`: where deploy tickets live. JIRA_EMAIL and JIRA_API_TOKEN (a token alone at a Data Center) open it."""

    url: PrivateAddress
    timeout: Seconds = Field(default=20, gt=0, le=300)


class GitHubIncidents(Table):
    """`[incidents.github]`: open issues of `github.repository` that carry one of `labels`."""

    labels: list[Text] = Field(default=["P0", "P1"], min_length=1)


class PagerDutyIncidents(Table):
    """`[incidents.pagerduty]`: open incidents of one of `priorities`; without a priority, of one of `urgencies`.

    `services` are ids; without them, every service that the token may see.
    """

    url: PrivateAddress = "https://api.pagerduty.com"
    priorities: list[Text] = ["P0", "P1"]
    urgencies: list[Urgency] = ["high"]
    services: list[Text] = []


class StatuspageIncidents(Table):
    """`[incidents.statuspage]`: unresolved incidents of the public page at `url` with one of `impacts`."""

    url: Address
    impacts: list[Impact] = Field(default=["major", "critical"], min_length=1)


class SlackIncidents(Table):
    """`[incidents.slack]`: what `slack.incidents` says of `words` within `lookback`. Advisory: it decides nothing."""

    words: list[Text] = Field(default=["P0", "P1"], min_length=1)
    lookback: Seconds = 86_400


class Incidents(Table):
    """`[incidents]`: the sources; at least one of the first three answers whether there are open incidents."""

    timeout: Seconds = Field(default=20, gt=0, le=300)
    github: GitHubIncidents | None = None
    pagerduty: PagerDutyIncidents | None = None
    statuspage: StatuspageIncidents | None = None
    slack: SlackIncidents | None = None

    @model_validator(mode="after")
    def _something_decides(self) -> Incidents:
        if not (self.github or self.pagerduty or self.statuspage):
            raise ValueError(
                "name github, pagerduty or statuspage: no message in Slack does not mean that there is no incident"
            )
        return self


class IncidentTicket(Table):
    """`[people.github]`: an issue in `github.repository`, with `labels`."""

    labels: list[Text] = ["incident", "P1"]


class PagerDutyEvent(Table):
    """`[people.pagerduty]`: an event that triggers an incident at PagerDuty (Events API v2)."""

    url: PrivateAddress = "https://events.pagerduty.com"
    severity: Literal["critical", "error", "warning", "info"] = "critical"


class People(Table):
    """`[people]`. `timeout` bounds each call: what does not get through is queued, and sent by a later run."""

    timeout: Seconds = Field(default=15, gt=0, le=300)
    github: IncidentTicket | None = None
    pagerduty: PagerDutyEvent | None = None
