"""The ways to call people: Slack's #incidents, a ticket on GitHub, PagerDuty. None says anything twice."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rollback.notify.message import Incident
from verification.clients.github.client import GitHub
from verification.clients.incidents import trigger
from verification.clients.slack.client import SYSTEM, Slack
from verification.clients.web_api import token_of
from verification.settings.model import Settings
from verification.settings.observers import GitHubSettings, IncidentTicket, PagerDutyEvent, SlackSettings


@dataclass(frozen=True, slots=True)
class Call:
    """What is said to whom. `id` is the same however often it is tried; `at` is when it was first meant to be said."""

    id: str
    channel: str
    title: str
    text: str
    at: datetime


class Channel(Protocol):
    """A way to call people. `send` may be tried again with the same call: it must not be said twice."""

    @property
    def name(self) -> str:
        """As the journal calls it."""
        ...

    @property
    def where(self) -> str:
        """As people call it."""
        ...

    def said(self, incident: Incident) -> tuple[str, str]:
        """The title and the text for it."""
        ...

    def send(self, call: Call, variables: Mapping[str, str], timeout: float) -> str:
        """Say it, unless it was said before; answers where it can be read. Raises VerificationError."""
        ...


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """The message of the checklist in `slack.incidents`."""

    settings: SlackSettings
    name: str = "slack"

    @property
    def where(self) -> str:
        """The channel's name."""
        return self.settings.incidents

    def said(self, incident: Incident) -> tuple[str, str]:
        """The checklist's message."""
        return incident.headline, incident.message()

    def send(self, call: Call, variables: Mapping[str, str], timeout: float) -> str:
        """Post it, unless a message with this call's id in its metadata is there. Raises VerificationError."""
        slack = Slack(self.settings.url, token_of(variables, SYSTEM), min(timeout, self.settings.timeout))
        return f"message {slack.announce(self.where, call.text, [call.text], call.id).ts}"


@dataclass(frozen=True, slots=True)
class TicketChannel:
    """An issue on GitHub."""

    github: GitHubSettings
    settings: IncidentTicket
    name: str = "github"
    where: str = "an incident ticket on GitHub"

    def said(self, incident: Incident) -> tuple[str, str]:
        """The whole incident, in Markdown."""
        return incident.title(), incident.ticket()

    def send(self, call: Call, variables: Mapping[str, str], timeout: float) -> str:
        """Open it, unless an issue with this call's mark is there. Raises VerificationError."""
        with closing(GitHub(self.github, variables, "write access to issues", timeout)) as github:
            return github.open_ticket(call.title, call.text, self.settings.labels, call.id, call.at)


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """An event that triggers an incident."""

    settings: PagerDutyEvent
    source: str
    name: str = "pagerduty"
    where: str = "PagerDuty"

    def said(self, incident: Incident) -> tuple[str, str]:
        """One line, and the checklist's message as its details."""
        return incident.title(), incident.message()

    def send(self, call: Call, variables: Mapping[str, str], timeout: float) -> str:
        """Trigger it; PagerDuty itself joins events with the same key. Raises VerificationError."""
        details = {"message": call.text}
        trigger(self.settings, variables, timeout, key=call.id, summary=call.title, source=self.source, details=details)
        return f"key {call.id}"


def channels_of(settings: Settings) -> list[Channel]:
    """The ways that are configured."""
    people = settings.people
    found: list[Channel] = []
    if settings.slack:
        found.append(SlackChannel(settings.slack))
    if settings.github and people.github:
        found.append(TicketChannel(settings.github, people.github))
    if people.pagerduty:
        found.append(PagerDutyChannel(people.pagerduty, settings.service.name))
    return found
