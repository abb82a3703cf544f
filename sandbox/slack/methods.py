"""The methods of Slack's Web API that deployment tools call, each a function from arguments to an answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.slack.blocks import SlackError, read_blocks, read_metadata
from sandbox.slack.model import DOMAIN, WORKSPACE, WorkspaceChannel, WorkspaceMessage, stored

if TYPE_CHECKING:
    from sandbox.slack.model import Workspace
    from sandbox.vendor_api import Json

Answer = dict[str, "Json"]
Method = Callable[["Arguments"], Answer]

_DEFAULT_PAGE, _MAX_CHANNELS, _MAX_MESSAGES = 100, 1000, 999
_MAX_TEXT, _MAX_UPDATE = 40_000, 4_000  # characters of a new message, and of a changed one
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

    def timestamp(self, name: str) -> float | None:
        """A time in seconds. Raises SlackError."""
        text = self.text(name)
        if text and not _TIMESTAMP.fullmatch(text):
            raise SlackError(f"invalid_ts_{name}")
        return float(text) if text else None


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
            "chat.update": ("chat:write", self._update),
        }

    def _auth_test(self, _arguments: Arguments) -> Answer:
        bot = self._workspace.bot
        return {
            "url": f"https://{DOMAIN}.slack.com/",
            "team": WORKSPACE,
            "user": bot.name,
            "team_id": self._workspace.team_id,
            "user_id": bot.user,
            "bot_id": bot.bot_id,
            "is_enterprise_install": False,
        }

    def _list(self, arguments: Arguments) -> Answer:
        types = {kind.strip() for kind in (arguments.text("types") or "public_channel").split(",")}
        if types - {"public_channel", "private_channel", "mpim", "im"}:
            raise SlackError("invalid_types")
        visible = [
            channel
            for channel in self._workspace.channels.values()
            if (channel.is_member if channel.is_private else True)
            and ("private_channel" if channel.is_private else "public_channel") in types
            and not (channel.is_archived and arguments.flag("exclude_archived"))
        ]
        start = _start(arguments, "team")
        end = start + arguments.limit(_MAX_CHANNELS)
        cursor = _cursor("team", end) if end < len(visible) else ""
        channels: list[Json] = [self._show_channel(channel) for channel in visible[start:end]]
        return {"channels": channels, "response_metadata": {"next_cursor": cursor}}

    def _history(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments)
        oldest, latest = arguments.timestamp("oldest"), arguments.timestamp("latest")
        inclusive = arguments.flag("inclusive")
        found = [
            message
            for message in reversed(channel.messages)
            if not message.is_reply and _within(float(message.ts), oldest, latest, inclusive=inclusive)
        ]
        return self._page(arguments, channel, found) | {"pin_count": 0}

    def _replies(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments)
        message = channel.find(arguments.text("ts"))
        parent = channel.find(message.thread_ts) if message and message.is_reply else message
        if parent is None:
            raise SlackError("thread_not_found")
        return self._page(arguments, channel, [parent, *channel.replies(parent)])

    def _post(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments, by_name=True, write=True)
        text, blocks, metadata = _content(arguments, _MAX_TEXT)
        thread_ts = arguments.text("thread_ts")
        if thread_ts and channel.find(thread_ts) is None:
            raise SlackError("thread_not_found")
        message = self._workspace.add_message(channel, self._workspace.bot, text or "", thread_ts=thread_ts)
        message.blocks, message.metadata = blocks or [], metadata
        return {"channel": channel.id, "ts": message.ts, "message": self._show_message(channel, message, metadata=True)}

    def _update(self, arguments: Arguments) -> Answer:
        channel = self._channel(arguments, write=True)
        message = channel.find(arguments.text("ts"))
        if message is None:
            raise SlackError("message_not_found")
        if message.author != self._workspace.bot:
            raise SlackError("cant_update_message")
        text, blocks, metadata = _content(arguments, _MAX_UPDATE)
        # What a call leaves out stays as it was.
        message.text = message.text if text is None else stored(text)
        message.blocks = message.blocks if blocks is None else blocks
        message.metadata = metadata if arguments.has("metadata") else message.metadata
        message.edited_ts = self._workspace.next_ts()
        answer = self._show_message(channel, message, metadata=True)
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": answer}

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

    def _page(self, arguments: Arguments, channel: WorkspaceChannel, messages: list[WorkspaceMessage]) -> Answer:
        start = _start(arguments, "msg")
        end = start + arguments.limit(_MAX_MESSAGES)
        metadata = arguments.flag("include_all_metadata")
        shown: list[Json] = [self._show_message(channel, message, metadata=metadata) for message in messages[start:end]]
        more = end < len(messages)
        answer: Answer = {"messages": shown, "has_more": more}
        return answer | ({"response_metadata": {"next_cursor": _cursor("msg", end)}} if more else {})

    def _show_channel(self, channel: WorkspaceChannel) -> Answer:
        topic: Answer = {"value": channel.topic, "creator": "", "last_set": 0}
        return {
            "id": channel.id,
            "name": channel.name,
            "name_normalized": channel.name,
            "created": channel.created,
            "creator": self._workspace.bot.user,
            "is_channel": not channel.is_private,
            "is_group": channel.is_private,
            "is_private": channel.is_private,
            "is_archived": channel.is_archived,
            "is_general": channel.name == "general",
            **dict.fromkeys(("is_im", "is_mpim", "is_shared", "is_org_shared", "is_ext_shared"), False),
            "is_member": channel.is_member,
            "topic": topic,
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "previous_names": [],
            "num_members": 12,
        }

    def _show_message(self, channel: WorkspaceChannel, message: WorkspaceMessage, *, metadata: bool) -> Answer:
        answer: Answer = {
            "type": "message",
            "user": message.author.user,
            "text": message.text,
            "ts": message.ts,
            "team": self._workspace.team_id,
        }
        if message.author.bot_id:
            answer |= {"bot_id": message.author.bot_id, "app_id": self._workspace.app_id}
        if message.blocks:
            answer["blocks"] = message.blocks
        if metadata and message.metadata:
            answer["metadata"] = message.metadata
        if message.files:
            answer["files"] = message.files
        if message.edited_ts:
            answer["edited"] = {"user": message.author.user, "ts": message.edited_ts}
        if message.thread_ts:
            answer["thread_ts"] = message.thread_ts
        if replies := channel.replies(message):
            users: list[Json] = [*dict.fromkeys(reply.author.user for reply in replies)]
            answer |= {"reply_count": len(replies), "reply_users": users, "reply_users_count": len(users)}
            answer["latest_reply"] = replies[-1].ts
        return answer


def _content(arguments: Arguments, most: int) -> tuple[str | None, list[Json] | None, Mapping[str, Json] | None]:
    """Text, blocks and metadata; None for what was left out. Raises SlackError."""
    text = arguments.text("text") if arguments.has("text") else None
    blocks = read_blocks(arguments.values["blocks"]) if arguments.has("blocks") else None
    if not text and not blocks:
        raise SlackError("no_text")
    if len(text or "") > most:
        raise SlackError("msg_too_long")
    return text, blocks, read_metadata(arguments.values["metadata"]) if arguments.has("metadata") else None


def _within(at: float, oldest: float | None, latest: float | None, *, inclusive: bool) -> bool:
    if inclusive and at in {oldest, latest}:
        return True
    return (oldest is None or at > oldest) and (latest is None or at < latest)


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
