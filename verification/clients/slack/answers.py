"""Shapes of Slack's answers, and its errors as exceptions of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from verification.errors import NotPermitted, ObserverError
from verification.redaction import redact_and_truncate

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError
    from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

T = TypeVar("T")

_REFUSED = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission"}
_CHANNEL_REMEDIES = {
    "channel_not_found": "Mend the channel in [slack] of deployment.toml; invite the bot if it is a private one.",
    "not_in_channel": "Invite the bot to the channel (/invite).",
    "is_archived": "Name a channel in [slack] that is not archived.",
}


class ListedChannel(BaseModel):
    """A channel of `conversations.list`."""

    id: str
    name: str = ""


class MessageMetadata(BaseModel):
    """What a message carries besides its text."""

    event_type: str = ""
    event_payload: dict[str, object] = {}


class SharedFile(BaseModel):
    """A file that a message shares."""

    id: str
    name: str = ""


class PostedMessage(BaseModel):
    """A message as it stands in a channel."""

    ts: str
    text: str = ""
    user: str = ""
    bot_id: str = ""
    metadata: MessageMetadata = MessageMetadata()
    files: list[SharedFile] = []


class Myself(BaseModel):
    """Who the token belongs to."""

    user_id: str = ""
    bot_id: str = ""


def read_answer(shape: type[T], value: object, question: str) -> T:
    """A part of Slack's answer to `question` as `shape`. Raises ObserverError when it is something else."""
    try:
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ObserverError(
            f"Slack {question}: the answer has an unexpected shape: {first['msg']}", "Is slack.url that of Slack's API?"
        ) from None


def explained(error: SlackApiError, question: str) -> ObserverError:
    """Slack's error answer to `question` as an ObserverError, with its remedy."""
    response = error.response
    status = getattr(response, "status_code", 0)
    data = getattr(response, "data", response)
    reason = data.get("error", "") if isinstance(data, dict) else ""
    if reason == "missing_scope":
        needed = data.get("needed", "one that is missing")
        return NotPermitted(
            f"Slack {question}: the token lacks the scope {needed}",
            f"Add {needed} to the app's bot scopes and install it anew (SLACK_BOT_TOKEN).",
        )
    if reason in _REFUSED:
        return NotPermitted(f"Slack {question}: the token is refused ({reason})", "Set SLACK_BOT_TOKEN anew.")
    if status == 429 or reason == "ratelimited":
        return ObserverError(
            f"Slack {question}: the rate limit is used up for longer than the time that is left", "Ask again later."
        )
    said = reason or redact_and_truncate(json.dumps(data, default=str) if isinstance(data, dict) else str(data))
    remedy = _CHANNEL_REMEDIES.get(reason, "Is Slack up? Look at its status page.")
    return ObserverError(f"Slack {question}: status {status}: {said}", remedy)


def rate_limit_handler(left: Callable[[], float]) -> RateLimitErrorRetryHandler:
    """A retry handler for slack_sdk that waits for a rate limit to be lifted, if the time that is left allows it."""
    from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler as Handler
    from slack_sdk.http_retry.response import HttpResponse

    class WithinTime(Handler):
        def _can_retry(self, *, response: HttpResponse | None = None, **_: object) -> bool:
            if response is None or response.status_code != 429:
                return False
            asked = next((v for k, v in response.headers.items() if k.lower() == "retry-after"), ["1"])
            seconds = asked if isinstance(asked, str) else asked[0]
            return seconds.isdecimal() and int(seconds) + 1 < left()

    return WithinTime(max_retry_count=3)
