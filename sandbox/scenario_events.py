"""What an operator can plant in the systems around a deployment: incidents, messages, rate limits."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.slack.model import Author, identifier
from sandbox.vendor_api import Json
from sandbox.vendors import Outside

PlantedThings = dict[str, Json]


class BadPlantError(ValueError):
    """A body that asks for something that cannot be planted; says what and where."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GitHubIssue(_Table):
    """An open issue, or a pull request."""

    title: str = Field(min_length=1)
    labels: list[str] = ["P0"]
    body: str = ""
    pull_request: bool = False
    days_old: float = Field(default=0, ge=0)


class PagerDutyIncident(_Table):
    """An incident at PagerDuty; an empty priority is one that nobody graded."""

    title: str = Field(min_length=1)
    priority: str = "P1"
    urgency: Literal["high", "low"] = "high"
    status: Literal["triggered", "acknowledged"] = "triggered"
    days_old: float = Field(default=0, ge=0)


class StatuspageIncident(_Table):
    """An incident on the status page."""

    name: str = Field(min_length=1)
    impact: Literal["none", "minor", "major", "critical"] = "critical"
    status: Literal["investigating", "identified", "monitoring"] = "investigating"
    days_old: float = Field(default=0, ge=0)


class SlackMessage(_Table):
    """A message that a person writes; `channel` is a name."""

    text: str = Field(min_length=1)
    channel: str = "incidents"
    user: str = "Dan"
    thread_ts: str = ""


class RateLimit(_Table):
    """How many of the next requests are refused, and the seconds that the refusal tells the client to wait."""

    times: int = Field(default=1, ge=0)
    retry_after: int = Field(default=1, ge=0)


class GitHubRateLimit(RateLimit):
    """The same for GitHub, which has two kinds of limit and two status codes for them."""

    kind: Literal["primary", "secondary"] = "secondary"
    status: Literal[403, 429] = 403


class Plants(_Table):
    """The body of `POST /plant`: any of these at once."""

    github_issue: GitHubIssue | None = None
    pagerduty_incident: PagerDutyIncident | None = None
    statuspage_incident: StatuspageIncident | None = None
    slack_message: SlackMessage | None = None
    slack_rate_limit: RateLimit | None = None
    github_rate_limit: GitHubRateLimit | None = None


def plant(outside: Outside, body: bytes) -> PlantedThings:
    """Plant what the JSON text asks for; answers the name that each thing got. Raises BadPlantError."""
    try:
        plants = Plants.model_validate_json(body)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()]
        raise BadPlantError(f"{'; '.join(problems)}. Known here: {', '.join(Plants.model_fields)}") from None
    planted: PlantedThings = {}
    if message := plants.slack_message:  # the one that can fail goes first, so that nothing is planted by halves
        planted["slack_message"] = _say(outside, message)
    if issue := plants.github_issue:
        planted["github_issue"] = _open_issue(outside, issue)
    if alarm := plants.pagerduty_incident:
        incident = outside.pagerduty.add(
            alarm.title, alarm.priority, urgency=alarm.urgency, status=alarm.status, days_old=alarm.days_old
        )
        outside.take_back.append(partial(setattr, incident, "status", "resolved"))
        planted["pagerduty_incident"] = {"id": incident.id, "number": incident.number}
    if notice := plants.statuspage_incident:
        public = outside.statuspage.add(notice.name, notice.impact, notice.status, days_old=notice.days_old)
        outside.take_back.append(partial(setattr, public, "status", "resolved"))
        planted["statuspage_incident"] = {"id": public.id}
    _limit(outside, plants)
    return planted


def _say(outside: Outside, message: SlackMessage) -> Json:
    workspace = outside.slack.workspace
    channel = workspace.named(message.channel)
    if channel is None:
        raise BadPlantError(f"slack_message.channel: there is no channel {message.channel!r}")
    if message.thread_ts and channel.find(message.thread_ts) is None:
        raise BadPlantError(f"slack_message.thread_ts: there is no message {message.thread_ts!r} in that channel")
    author = Author(identifier("U"), message.user)
    said = workspace.add_message(channel, author, message.text, thread_ts=message.thread_ts)
    return {"channel": channel.id, "ts": said.ts}


def _open_issue(outside: Outside, issue: GitHubIssue) -> Json:
    opened = outside.github.repository.add_issue(
        issue.title, issue.labels, body=issue.body, is_pull_request=issue.pull_request, days_old=issue.days_old
    )
    outside.take_back.append(partial(opened.set_state, "closed"))
    return {"number": opened.number}


def _limit(outside: Outside, plants: Plants) -> None:
    if limit := plants.slack_rate_limit:
        refusals = outside.slack.refusals
        refusals.times, refusals.retry_after = limit.times, limit.retry_after
        outside.take_back.append(partial(setattr, refusals, "times", 0))
    if github := plants.github_rate_limit:
        refusals = outside.github.refusals
        refusals.times, refusals.retry_after = github.times, github.retry_after
        refusals.kind, refusals.status = github.kind, github.status
        outside.take_back.append(partial(setattr, refusals, "times", 0))
