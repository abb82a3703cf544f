"""The methods of Slack's Web API that deployment tools call, each a function from arguments to an answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.slack.blocks import SlackError, read_blocks, read_metadata
from sandbox.slack.model import DOMAIN, WORKSPACE, WorkspaceChannel, WorkspaceMessage

if TYPE_CHECKING:
    from sandbox.slack.model import Workspace
    from sandbox.vendor_api import Json

Answer = dict[str, "Json"]
Method = Callable[["Arguments"], Answer]

_DEFAULT_PAGE, _MAX_CHANNELS, _MAX_MESSAGES = 100, 1000, 999
_MAX_TEXT = 40_000  # characters of a message
_TIMESTAMP = re.compile(r"\d{1,10}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call; those of a form or an address are texts, those of a JSON body have their types."""

    values: Mapping[str, object]

    def text(self, name: str) -> str:
        """A text, empty where there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """A yes or no, in any of the ways in which clients write it."""
        return self.text(name).lower() in {"1", "true"}

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return self.values.get(name) is not None

    def limit(self, most: int) -> int:
        """How many items a page may have. Raises SlackError."""
        text = self.text("limit") or str(_DEFAULT_PAGE)
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise SlackError("invalid_limit")
        return int(text)

    def timestamp(self, name: str) -> float:
        """A time in seconds; 0 where there is none. Raises SlackError."""
        text = self.text(name) or "0"
        if not _TIMESTAMP.fullmatch(text):
            raise SlackError(f"invalid_ts_{name}")
        return float(text)


class SlackMethods:
    """The methods over one workspace, by name, with the scope that each needs."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.by_name: dict[str, tuple[str, Method]] = {
            "auth.test": ("", self._auth_test),
            "conversations.list": ("channels:read", self._list),
            "conversations.history": ("channels:history", self._history),
            "conversations.replies": ("channels:history", self._replies),
            "chat.postMessage": ("chat:write", self._post),
        }

    def _auth_test(self, _arguments: Arguments) -> Answer:
        bot = self._workspace.bot
        return {
            "url": f"https://{DOMAIN}.slack.com/",
            "team": WORKSPACE,
            "user": bot.name,
            "user_id": bot.user,
            "bot_id": bot.bot_id,
        }

    def _list(self, arguments: Arguments) -> Answer:
        if arguments.text("types") not in {"", "public_channel"}:
            raise SlackError("invalid_types")
        visible = [
            channel
            for channel in self._workspace.channels.values()
            if not channel.is_private and not (channel.is_archived and arguments.flag("exclude_archived"))
        ]
        start = _start(arguments, "team")
        end = start + arguments.limit(_MAX_CHANNELS)
        cursor = _cursor("team", end) if end < len(visible) else ""
        channels: list[Json] = [_show_channel(channel) for channel in visible[start:end]]
        return {"channels": channels, "response_metadata": {"next_cursor": cursor}}

    def _history(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments)
        oldest, inclusive = arguments.timestamp("oldest"), arguments.flag("inclusive")
        found = [
            message
            for message in reversed(channel.messages)
            if not message.is_reply and (float(message.ts) > oldest or (inclusive and float(message.ts) == oldest))
        ]
        return _page(arguments, found)

    def _replies(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments)
        message = channel.find(arguments.text("ts"))
        parent = channel.find(message.thread_ts) if message and message.is_reply else message
        if parent is None:
            raise SlackError("thread_not_found")
        return _page(arguments, [parent, *channel.replies(parent)])

    def _post(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments, by_name=True, write=True)
        text = arguments.text("text")
        blocks = read_blocks(arguments.values["blocks"]) if arguments.has("blocks") else []
        if not text and not blocks:
            raise SlackError("no_text")
        if len(text) > _MAX_TEXT:
            raise SlackError("msg_too_long")
        metadata = read_metadata(arguments.values["metadata"]) if arguments.has("metadata") else None
        thread_ts = arguments.text("thread_ts")
        if thread_ts and channel.find(thread_ts) is None:
            raise SlackError("thread_not_found")
        message = self._workspace.add_message(channel, self._workspace.bot, text, thread_ts=thread_ts)
        message.blocks, message.metadata = blocks, metadata
        return {"channel": channel.id, "ts": message.ts, "message": _show_message(message, metadata=True)}

    def _channel(self, arguments: Arguments, *, by_name: bool = False, write: bool = False) -> WorkspaceChannel:
        """The channel of that id, or of that name, that our app may read or write. Raises SlackError."""
        asked = arguments.text("channel")
        channel = self._workspace.channels.get(asked) or (self._workspace.named(asked) if by_name else None)
        if channel is None or (channel.is_private and not channel.is_member):
            raise SlackError("channel_not_found")
        if write and channel.is_archived:
            raise SlackError("is_archived")
        if not channel.is_member:
            raise SlackError("not_in_channel")
        return channel


def _page(arguments: Arguments, messages: list[WorkspaceMessage]) -> Answer:
    start = _start(arguments, "msg")
    end = start + arguments.limit(_MAX_MESSAGES)
    metadata = arguments.flag("include_all_metadata")
    shown: list[Json] = [_show_message(message, metadata=metadata) for message in messages[start:end]]
    more = end < len(messages)
    answer: Answer = {"messages": shown, "has_more": more}
    return answer | ({"response_metadata": {"next_cursor": _cursor("msg", end)}} if more else {})


def _show_channel(channel: WorkspaceChannel) -> Answer:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_private": False,
        "is_archived": channel.is_archived,
        "is_member": channel.is_member,
    }


def _show_message(message: WorkspaceMessage, *, metadata: bool) -> Answer:
    answer: Answer = {"type": "message", "user": message.author.user, "text": message.text, "ts": message.ts}
    more: dict[str, Json] = {
        "bot_id": message.author.bot_id,
        "blocks": message.blocks,
        "metadata": message.metadata if metadata else None,
        "files": message.files,
        "thread_ts": message.thread_ts,
    }
    return answer | {name: value for name, value in more.items() if value}


def _cursor(kind: str, offset: int) -> str:
    return base64.b64encode(f"{kind}:{offset}".encode()).decode()


def _start(arguments: Arguments, kind: str) -> int:
    if not (cursor := arguments.text("cursor")):
        return 0
    try:
        found, _, offset = base64.b64decode(cursor, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise SlackError("invalid_cursor") from None
    if found != kind or not offset.isdigit():
        raise SlackError("invalid_cursor")
    return int(offset)
