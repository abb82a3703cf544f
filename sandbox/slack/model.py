"""What a Slack workspace holds: channels, and messages in threads."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.vendor_api import Json

WORKSPACE, DOMAIN = "Bayit+", "bayit-plus"
_TEAMS = ("android", "billing", "catalog", "design", "editorial", "ios", "legal", "player", "search", "tv", "web")
_TOPICS = ("alerts", "builds", "daily", "feedback", "help", "hiring", "metrics", "planning", "reviews", "social")
# Slack keeps emoji by name; these are the ones that people write in deployment messages.
EMOJI = {
    "🚀": ":rocket:",
    "✅": ":white_check_mark:",
    "⚠️": ":warning:",
    "❌": ":x:",
    "🚨": ":rotating_light:",
    "🎉": ":tada:",
}
_MARKED = re.compile(
    r"<(?:https?://|mailto:|[@#!])[^<>]*>"  # a link or a mention, as the sender marked it up
    r"|&(?:amp|lt|gt);"
    r"|https?://[^\s<>|]*[^\s<>|.,;:!?)'\"]"
    r"|[&<>]"
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: a person, or an app, which then has a `bot_id`."""

    user: str
    name: str
    bot_id: str = ""


@dataclass(slots=True)
class WorkspaceMessage:
    """One message; `ts` names it within its channel and is its time in seconds, as text with six decimals."""

    ts: str
    author: Author
    text: str  # as stored: see `stored`
    blocks: list[Json] = field(default_factory=list)
    metadata: Mapping[str, Json] | None = None
    thread_ts: str = ""  # of the message that began the thread; a reply has it, and a message that was replied to
    files: list[Json] = field(default_factory=list)

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread and not in the channel."""
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def at(self) -> datetime:
        """When it was written."""
        return datetime.fromtimestamp(float(self.ts), UTC)


@dataclass(slots=True)
class WorkspaceChannel:
    """One channel, with its messages, oldest first."""

    id: str
    name: str
    is_member: bool = False  # whether our app was invited
    is_private: bool = False
    is_archived: bool = False
    messages: list[WorkspaceMessage] = field(default_factory=list)

    def find(self, ts: str) -> WorkspaceMessage | None:
        """The message of that name."""
        return next((message for message in self.messages if message.ts == ts), None)

    def replies(self, parent: WorkspaceMessage) -> list[WorkspaceMessage]:
        """The replies in a message's thread, oldest first."""
        return [message for message in self.messages if message.is_reply and message.thread_ts == parent.ts]


class Workspace:
    """The channels, in the order in which Slack lists them."""

    def __init__(self) -> None:
        self.bot = Author(identifier("U"), "deployments", identifier("B"))
        self.channels: dict[str, WorkspaceChannel] = {}  # by id
        self._last_micros = 0

    def transcript(self) -> list[dict[str, object]]:
        """What was written, by channel, as JSON-ready values; channels in which nobody wrote are left out."""
        return [
            asdict(channel)
            | {"messages": [asdict(message) | {"at": message.at.isoformat()} for message in channel.messages]}
            for channel in self.channels.values()
            if channel.messages
        ]

    def add_channel(
        self, name: str, *, is_member: bool = False, is_private: bool = False, is_archived: bool = False
    ) -> WorkspaceChannel:
        """A new channel, without messages."""
        channel = WorkspaceChannel(identifier("C"), name, is_member, is_private, is_archived)
        self.channels[channel.id] = channel
        return channel

    def named(self, name: str) -> WorkspaceChannel | None:
        """A channel by its name, with or without the number sign."""
        wanted = name.removeprefix("#")
        return next((channel for channel in self.channels.values() if channel.name == wanted), None)

    def add_message(
        self, channel: WorkspaceChannel, author: Author, text: str, *, thread_ts: str = ""
    ) -> WorkspaceMessage:
        """Write a message as of now. Its parent, where there is one, becomes the first of a thread."""
        # No two messages share a name, however fast they come.
        self._last_micros = max(time.time_ns() // 1000, self._last_micros + 1)
        ts = f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06}"
        message = WorkspaceMessage(ts, author, stored(text), thread_ts=thread_ts)
        if parent := channel.find(thread_ts):
            parent.thread_ts = parent.ts
        channel.messages.append(message)
        return message

    def add_history(self, channel: WorkspaceChannel, author: Author, text: str, days_old: float) -> None:
        """Write a message as of some days ago; call it in the order of time."""
        ts = f"{time.time() - days_old * 86400:.6f}"
        channel.messages.append(WorkspaceMessage(ts, author, stored(text)))


def seed_slack(workspace: Workspace) -> None:
    """Fill it. More channels than fit on one page of the list, those that matter behind the others."""
    for team in _TEAMS:
        for topic in _TOPICS:
            workspace.add_channel(f"{team}-{topic}")
    workspace.add_channel("general")  # our app was never invited there
    workspace.add_channel("security", is_private=True)
    workspace.add_channel("deployments-2024", is_member=True, is_archived=True)
    deployments = workspace.add_channel("deployments", is_member=True)
    incidents = workspace.add_channel("incidents", is_member=True)
    noa, dan = Author(identifier("U"), "Noa"), Author(identifier("U"), "Dan")
    workspace.add_history(deployments, noa, "🚀 Production deployment starting in 30 minutes\nBranch: main", 3.1)
    workspace.add_history(deployments, noa, "✅ Production deployment complete, 15 minutes stable", 3.0)
    workspace.add_history(incidents, dan, "🚨 Search is slow for everybody, looking into it", 20.0)
    workspace.add_history(incidents, dan, "Resolved: an index was missing after the move", 19.9)


def stored(text: str) -> str:
    """The text as Slack keeps and returns it: emoji by name, bare URLs as links, stray control characters escaped.

    What is sent is therefore not what is read back; mentions such as `<!channel>` take effect unless the sender
    escaped them.
    """
    for emoji, name in EMOJI.items():
        text = text.replace(emoji, name)
    return _MARKED.sub(lambda match: _mark(match.group()), text)


def identifier(prefix: str) -> str:
    """A name as Slack gives them out, such as C0A1B2C3D4E5."""
    return f"{prefix}0{secrets.token_hex(5).upper()}"


def _mark(part: str) -> str:
    if part.startswith(("http://", "https://")):
        return f"<{part.replace('&', '&amp;')}>"
    return _ENTITIES.get(part, part)
