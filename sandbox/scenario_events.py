"""What an operator can have happen in the systems around a deployment: incidents, messages, rate limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.incidents.pagerduty import PagerDutyIncident
from sandbox.incidents.statuspage import StatuspageIncident
from sandbox.slack.model import Author, identifier
from sandbox.vendor_api import Json, problems
from sandbox.vendors import Vendors

Undo = list[Callable[[], None]]


class BadEventError(ValueError):
    """A body that asks for something that cannot happen; says what and where."""


class _Event(BaseModel):
    """Something that can happen; `plant` has it happen, notes how to undo that, and answers the name that it got."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OpenedIssue(_Event):
    """An open issue."""

    title: str = Field(min_length=1)
    labels: list[str] = ["P0"]
    days_old: float = Field(default=0, ge=0)

    def plant(self, vendors: Vendors, undo: Undo) -> Json:
        """Open it."""
        issue = vendors.github.repository.add_issue(**self.model_dump())
        undo.append(issue.close)
        return {"number": issue.number}


class TriggeredIncident(_Event):
    """An incident at PagerDuty; an empty priority is one that nobody graded."""

    title: str = Field(min_length=1)
    priority: str = "P1"
    urgency: Literal["high", "low"] = "high"
    status: Literal["triggered", "acknowledged"] = "triggered"
    days_old: float = Field(default=0, ge=0)

    def plant(self, vendors: Vendors, undo: Undo) -> Json:
        """Trigger it."""
        incident = PagerDutyIncident(**self.model_dump())
        vendors.pagerduty.incidents.append(incident)
        undo.append(partial(setattr, incident, "status", "resolved"))
        return {"id": incident.id, "number": incident.number}


class PublishedIncident(_Event):
    """An incident on the status page."""

    name: str = Field(min_length=1)
    impact: Literal["none", "minor", "major", "critical"] = "critical"
    status: Literal["investigating", "identified", "monitoring"] = "investigating"
    days_old: float = Field(default=0, ge=0)

    def plant(self, vendors: Vendors, undo: Undo) -> Json:
        """Publish it."""
        incident = StatuspageIncident(**self.model_dump())
        vendors.statuspage.incidents.append(incident)
        undo.append(partial(setattr, incident, "status", "resolved"))
        return {"id": incident.id}


class WrittenMessage(_Event):
    """A message that a person writes; `channel` is a name."""

    text: str = Field(min_length=1)
    channel: str = "incidents"

    def plant(self, vendors: Vendors, _undo: Undo) -> Json:
        """Write it. Raises BadEventError for a channel that there is not; nothing takes it back."""
        workspace = vendors.slack.workspace
        channel = workspace.named(self.channel)
        if channel is None:
            raise BadEventError(f"slack_message.channel: there is no channel {self.channel!r}")
        message = workspace.add_message(channel, Author(identifier("U"), "Dan"), self.text)
        return {"channel": channel.id, "ts": message.ts}


class SlackRateLimit(_Event):
    """How many of the next requests Slack refuses, and the seconds that it tells the client to wait."""

    times: int = Field(default=1, ge=0)
    retry_after: int = Field(default=1, ge=0)

    def plant(self, vendors: Vendors, undo: Undo) -> Json:
        """Put it in force."""
        undo.append(vendors.slack.rate_limit.begin(self.times, self.retry_after))
        return self.model_dump()


class GitHubRateLimit(SlackRateLimit):
    """The same for GitHub."""

    def plant(self, vendors: Vendors, undo: Undo) -> Json:
        """Put it in force."""
        undo.append(vendors.github.rate_limit.begin(self.times, self.retry_after))
        return self.model_dump()


class ScenarioEvents(_Event):
    """The body of `POST /plant`: any of these at once. The one that can fail goes first, so that it is all or none."""

    slack_message: WrittenMessage | None = None
    github_issue: OpenedIssue | None = None
    pagerduty_incident: TriggeredIncident | None = None
    statuspage_incident: PublishedIncident | None = None
    slack_rate_limit: SlackRateLimit | None = None
    github_rate_limit: GitHubRateLimit | None = None


def plant(vendors: Vendors, body: bytes, undo: Undo) -> dict[str, Json]:
    """Have happen what the JSON text asks for; answers the name that each thing got. Raises BadEventError."""
    try:
        events = ScenarioEvents.model_validate_json(body)
    except ValidationError as error:
        raise BadEventError(
            f"{'; '.join(problems(error))}. Known here: {', '.join(ScenarioEvents.model_fields)}"
        ) from None
    return {name: event.plant(vendors, undo) for name, event in events if event is not None}
