"""The systems around a deployment that people write to: Slack, GitHub, PagerDuty, Statuspage; each on its own port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.addresses import GitHubAddress, JiraAddress, PagerDutyAddress, SlackAddress, StatuspageAddress
from sandbox.github.app import GitHub
from sandbox.github.model import REPOSITORY, seed_deployments
from sandbox.incidents.jira import Jira
from sandbox.incidents.pagerduty import PagerDuty
from sandbox.incidents.statuspage import Statuspage
from sandbox.platform.listener import Listener
from sandbox.slack.app import Slack

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.runs import Runner
    from sandbox.slack.model import Channel, Message


class Outside:
    """The four systems, their ports, and what the operator may ask of them. `faults` are those in force."""

    def __init__(self, faults: AbstractSet[str], runner: Runner) -> None:
        self.slack = Slack(faults)
        self.github = GitHub(faults, runner)
        self.pagerduty = PagerDuty()
        self.statuspage = Statuspage()
        self.jira = Jira()
        self.take_back: list[Callable[[], None]] = []  # how to undo what was planted
        self._slack_door, self._github_door = Listener(self.slack), Listener(self.github)
        self._pagerduty_door, self._statuspage_door = Listener(self.pagerduty), Listener(self.statuspage)
        self._jira_door = Listener(self.jira)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """All ports, to be opened by whoever runs this."""
        return self._slack_door, self._github_door, self._pagerduty_door, self._statuspage_door, self._jira_door

    @property
    def slack_address(self) -> SlackAddress:
        """Where Slack is."""
        return SlackAddress(self._slack_door.url, self.slack.token, self.slack.token_without_scope)

    @property
    def github_address(self) -> GitHubAddress:
        """Where GitHub is."""
        return GitHubAddress(self._github_door.url, self.github.token, self.github.token_without_scope, REPOSITORY)

    @property
    def pagerduty_address(self) -> PagerDutyAddress:
        """Where PagerDuty is."""
        return PagerDutyAddress(self._pagerduty_door.url, self.pagerduty.token, self.pagerduty.routing_key)

    @property
    def statuspage_address(self) -> StatuspageAddress:
        """Where the status page is."""
        return StatuspageAddress(self._statuspage_door.url)

    @property
    def jira_address(self) -> JiraAddress:
        """Where Jira is."""
        return JiraAddress(self._jira_door.url, self.jira.email, self.jira.token, next(iter(self.jira.issues)))

    def seed(self, running: Mapping[str, tuple[str, datetime]]) -> None:
        """Note at GitHub what runs now: commit and time of its deployment, by environment."""
        seed_deployments(self.github.repository, running)

    def operator_routes(self) -> list[Route]:
        """What the operator may ask: read Slack's channels, plant something, take everything planted back."""
        return [
            Route("/slack", self._read_slack, methods=["GET"]),
            Route("/plant", self._plant, methods=["POST"]),
            Route("/plant", self._unplant, methods=["DELETE"]),
        ]

    async def _read_slack(self, _request: Request) -> Response:
        written = [channel for channel in self.slack.workspace.channels.values() if channel.messages]
        return JSONResponse({"channels": [_channel(channel) for channel in written]})

    async def _plant(self, request: Request) -> Response:
        from sandbox.scenario_events import BadPlantError, plant  # pydantic takes a while to import

        try:
            planted = plant(self, await request.body())
        except BadPlantError as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse({"planted": planted})

    async def _unplant(self, _request: Request) -> Response:
        """Close what was planted as an incident, and lift the rate limits."""
        while self.take_back:
            self.take_back.pop()()
        return Response(status_code=204)


def _channel(channel: Channel) -> dict[str, object]:
    messages = [_message(message) for message in channel.messages]
    return {"id": channel.id, "name": channel.name, "is_member": channel.is_member, "messages": messages}


def _message(message: Message) -> dict[str, object]:
    return {
        "ts": message.ts,
        "at": message.at.isoformat(),
        "author": asdict(message.author),
        "text": message.text,
        "blocks": message.blocks,
        "metadata": message.metadata,
        "thread_ts": message.thread_ts,
        "files": message.files,
        "edited": bool(message.edited_ts),
    }
