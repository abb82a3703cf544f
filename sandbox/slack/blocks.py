"""What Slack accepts as the blocks and the metadata of a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.vendor_api import Json

MAX_BLOCKS = 50
_MAX_SECTION = 3000  # characters
_MAX_METADATA = 8000  # bytes
_TYPES = frozenset({"actions", "context", "divider", "header", "image", "markdown", "rich_text", "section", "video"})


class SlackError(Exception):
    """An answer with `"ok": false`; `extra` are the fields beside `error`."""

    def __init__(self, error: str, **extra: Json) -> None:
        super().__init__(error)
        self.body: dict[str, Json] = {"ok": False, "error": error, **extra}


def read_blocks(value: object) -> list[Json]:
    """The blocks, from a list or its JSON text. Raises SlackError as Slack does, with a pointer to each mistake."""
    blocks = _parsed(value, "invalid_blocks_format")
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    problems = [problem for place, block in enumerate(blocks) for problem in _problems(block, f"/blocks/{place}")]
    if len(blocks) > MAX_BLOCKS:
        problems.append(f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]")
    if problems:
        messages: list[Json] = [f"[ERROR] {problem}" for problem in problems]
        raise SlackError("invalid_blocks", errors=list(problems), response_metadata={"messages": messages})
    return blocks


def read_metadata(value: object) -> Mapping[str, Json] | None:
    """The metadata, from an object or its JSON text; an empty object means none. Raises SlackError."""
    metadata = _parsed(value, "invalid_metadata_format")
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    if not metadata:
        return None
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(metadata).encode()) > _MAX_METADATA:
        raise SlackError("metadata_too_large")
    return metadata


def _parsed(value: object, error: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SlackError(error) from None


def _problems(block: object, pointer: str) -> list[str]:
    """What is wrong with a block. Of sections the text is looked at, of others the type alone."""
    if not isinstance(block, dict) or block.get("type") not in _TYPES:
        return [f"unsupported type: {block.get('type') if isinstance(block, dict) else None} [json-pointer:{pointer}]"]
    if block["type"] != "section":
        return []
    if "text" not in block:
        return [f"missing required field: text [json-pointer:{pointer}]"]
    text = block["text"]
    if (
        not isinstance(text, dict)
        or text.get("type") not in {"plain_text", "mrkdwn"}
        or not isinstance(text.get("text"), str)
    ):
        return [f"failed to match all allowed schemas [json-pointer:{pointer}/text]"]
    if not text["text"]:
        return [f"must be more than 0 characters [json-pointer:{pointer}/text/text]"]
    if len(text["text"]) > _MAX_SECTION:
        return [f"must be less than {_MAX_SECTION + 1} characters [json-pointer:{pointer}/text/text]"]
    return []
