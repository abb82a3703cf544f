"""Slack's Web API through slack_sdk: say something once, and read what others said (https://api.slack.com/methods)."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from verification.clients.lazy_imports import load
from verification.clients.slack.answers import (
    ListedChannel,
    Myself,
    PostedMessage,
    explained,
    rate_limit_handler,
    read_answer,
)
from verification.clients.slack.text import blocks_of, escape, marked
from verification.clients.web_api import System, token_of
from verification.deadline import Deadline, bounded, now
from verification.errors import ObserverError, SettingsError
from verification.redaction import redact_and_truncate
from verification.settings.observers import SlackSettings, keeps_secrets
from verification.settings.units import duration_text

if TYPE_CHECKING:
    from slack_sdk import WebClient

T = TypeVar("T")

SYSTEM = System(
    "Slack",
    "https://slack.com/api",
    "SLACK_BOT_TOKEN",
    "the scopes chat:write, channels:read, channels:history, and files:write for --ticket slack",
)
EVENT_TYPE = "deployment_verification"
_LOOK_BACK = dt.timedelta(days=14)
_PAGES = 50


@dataclass(frozen=True, slots=True)
class Post:
    """A message that we posted. `again`: it had been posted before, and was found instead of repeated."""

    channel: str
    ts: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote in a channel."""

    text: str
    at: dt.datetime


def release_key(commit: str) -> str:
    """The key of a release's announcement: one for each."""
    return f"deployment-of-{commit}"


class Slack:
    """Client of Slack's Web API for one workspace. `timeout` (seconds) bounds each method with its retries.

    Each raises ObserverError, NotPermitted.
    """

    def __init__(self, url: str, token: str, timeout: float) -> None:
        load("slack_sdk")
        from slack_sdk import WebClient
        from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler

        if not keeps_secrets(url):
            raise SettingsError(f"Slack: the token would be sent to {url} in the clear", "Use an https:// address.")
        self._timeout = timeout
        self._of_thread = threading.local()  # the deadline of the method that this thread runs
        base = url.rstrip("/") + "/"
        # What was sent twice is said twice: only what Slack did not take (a rate limit) is sent again.
        limit = rate_limit_handler(self._left)
        self._writer = WebClient(token=token, base_url=base, timeout=int(timeout) or 1, retry_handlers=[limit])
        self._reader = WebClient(token=token, base_url=base, timeout=int(timeout) or 1)
        self._reader.retry_handlers += [limit, ServerErrorRetryHandler(max_retry_count=2)]

    @classmethod
    def of(cls, settings: SlackSettings, variables: Mapping[str, str]) -> Slack:
        """Raises NotPermitted without SLACK_BOT_TOKEN."""
        return cls(settings.url, token_of(variables, SYSTEM), settings.timeout)

    def announce(self, channel: str, text: str, sections: list[str], key: str, thread: Post | None = None) -> Post:
        """Post once for each `key`: a message of ours that carries it is found again, and not repeated.

        `text` is what notifications show; `sections` are what the channel shows. Both may hold anything: they are
        escaped. With `thread`, it is posted below that message.
        """
        return self._within(lambda: self._announce(channel, text, sections, key, thread))

    def find(self, channel: str, key: str) -> Post | None:
        """Our message with `key`, if it was posted."""
        return self._within(lambda: self._posted(self._channel(channel), key, None))

    def upload(self, name: str, content: bytes, comment: str, thread: Post) -> None:
        """Share a file below a message, in the place of an older one of that name; needs the scope files:write.

        `comment` may hold anything: it is escaped.
        """

        def share() -> None:
            for message in self._history(thread.channel, now() - _LOOK_BACK, thread):
                for file in message.files:
                    if file.name == name:
                        with _asking("files.delete"):
                            self._writer.files_delete(file=file.id)
            with _asking("files_upload_v2"):
                self._writer.files_upload_v2(
                    filename=name,
                    title=name,
                    content=content,
                    channel=thread.channel,
                    thread_ts=thread.ts,
                    initial_comment=escape(comment),
                )

        self._within(share)

    def reach(self, channel: str) -> None:
        """Check token and channel by the reads that `announce` makes before it posts."""

        def ask() -> None:
            self._myself()
            next(self._history(self._channel(channel), now(), None), None)

        self._within(ask)

    def read(self, channel: str, since: dt.datetime) -> tuple[Message, ...]:
        """What was written in `channel` since then, newest first."""
        return self._within(
            lambda: tuple(
                Message(found.text, dt.datetime.fromtimestamp(float(found.ts), dt.UTC))
                for found in self._history(self._channel(channel), since, None)
            )
        )

    def _announce(self, channel: str, text: str, sections: list[str], key: str, thread: Post | None) -> Post:
        there = thread.channel if thread else self._channel(channel)
        found = self._posted(there, key, thread)
        if found:
            return found
        with _asking("chat.postMessage"):
            answer = self._writer.chat_postMessage(
                channel=there,
                text=marked(text, key),
                blocks=blocks_of(sections),
                metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
                thread_ts=thread.ts if thread else None,
                unfurl_links=False,
                unfurl_media=False,
            )
        return Post(there, read_answer(str, answer.get("ts"), "chat.postMessage"))

    def _posted(self, channel: str, key: str, thread: Post | None) -> Post | None:
        """Our message with `key`, if there is one. Nobody else's message counts."""
        me = self._myself()
        for message in self._history(channel, now() - _LOOK_BACK, thread):
            ours = (me.bot_id and message.bot_id == me.bot_id) or (me.user_id and message.user == me.user_id)
            metadata = message.metadata
            by_metadata = metadata.event_type == EVENT_TYPE and metadata.event_payload.get("key") == key
            # Metadata is only shown to tokens that may read it.
            if ours and (by_metadata or message.text == marked(message.text.rpartition("\n")[0], key, escaped=True)):
                return Post(channel, message.ts, again=True)
        return None

    def _myself(self) -> Myself:
        with _asking("auth.test"):
            return read_answer(Myself, self._reader.auth_test().data, "auth.test")

    def _channel(self, name: str) -> str:
        """The id of a channel that is named `#name`, or is an id already."""
        if not name.startswith("#"):
            return name
        options = {"limit": 200, "exclude_archived": True, "types": "public_channel"}
        for listed in _listed(ListedChannel, "channels", self._reader, "conversations.list", options):
            if listed.name == name.removeprefix("#"):
                return listed.id
        remedy = "Mend [slack] in deployment.toml; a private channel is named by its id there (C0…)."
        raise ObserverError(f"Slack has no public channel {name}", remedy)

    def _history(self, channel: str, since: dt.datetime, thread: Post | None) -> Iterator[PostedMessage]:
        where = {"ts": thread.ts} if thread else {"oldest": f"{since.timestamp():.6f}"}
        options = {"channel": channel, "limit": 200, "include_all_metadata": True, **where}
        question = "conversations.replies" if thread else "conversations.history"
        return _listed(PostedMessage, "messages", self._reader, question, options)

    def _within(self, call: Callable[[], T]) -> T:
        deadline = Deadline.after(self._timeout)

        def bounded_call() -> T:
            self._of_thread.deadline = deadline
            return call()

        try:
            return bounded(bounded_call, self._timeout)
        except TimeoutError:
            raise ObserverError(
                f"Slack: no complete answer within {duration_text(self._timeout)}", "Is Slack up, and reachable?"
            ) from None

    def _left(self) -> float:
        deadline: Deadline | None = getattr(self._of_thread, "deadline", None)
        return deadline.remaining if deadline else 0.0


def _listed(shape: type[T], key: str, reader: WebClient, question: str, options: Mapping[str, object]) -> Iterator[T]:
    """What stands below `key` in all pages of the answer to `question`. Raises ObserverError, NotPermitted."""
    with _asking(question):
        answer = reader.api_call(question, http_verb="GET", params={**options})
        for number, page in enumerate(answer):  # slack_sdk asks for the pages that follow
            if number >= _PAGES:
                raise ObserverError(f"Slack {question}: its pages do not end after {_PAGES}")
            yield from read_answer(list[shape], page.get(key), question)  # type: ignore[valid-type]


@contextmanager
def _asking(question: str) -> Iterator[None]:
    """Whatever slack_sdk raises inside becomes an ObserverError or NotPermitted about `question`."""
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        yield
    except SlackApiError as error:
        raise explained(error, question) from None
    except (SlackClientError, OSError, ValueError) as error:
        raise ObserverError(
            f"Slack {question}: {redact_and_truncate(str(error), 200) or type(error).__name__}",
            "Is Slack up, and reachable?",
        ) from None
