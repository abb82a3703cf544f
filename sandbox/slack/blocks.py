"""What Slack accepts as the blocks and the metadata of a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.vendor_api import Json

MAX_BLOCKS = 50
_MAX_SECTION, _MAX_FIELD, _MAX_FIELDS, _MAX_HEADER, _MAX_ELEMENTS = 3000, 2000, 10, 150, 10
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
    if not isinstance(block, dict) or block.get("type") not in _TYPES:
        return [f"unsupported type: {block.get('type') if isinstance(block, dict) else None} [json-pointer:{pointer}]"]
    match block["type"]:
        case "section":
            return _section(block, pointer)
        case "header":
            return _text(block.get("text"), f"{pointer}/text", _MAX_HEADER, ("plain_text",))
        case "context":
            return _elements(block.get("elements"), f"{pointer}/elements")
        case _:
            return []


def _section(block: Mapping[str, object], pointer: str) -> list[str]:
    if "text" not in block and "fields" not in block:
        return [f"missing required field: text [json-pointer:{pointer}]"]
    problems = _text(block["text"], f"{pointer}/text", _MAX_SECTION) if "text" in block else []
    fields = block.get("fields", [])
    if not isinstance(fields, list) or len(fields) > _MAX_FIELDS:
        return [*problems, f"no more than {_MAX_FIELDS} items allowed [json-pointer:{pointer}/fields]"]
    for place, field in enumerate(fields):
        problems += _text(field, f"{pointer}/fields/{place}", _MAX_FIELD)
    return problems


def _elements(elements: object, pointer: str) -> list[str]:
    if not isinstance(elements, list) or not elements:
        return [f"must provide at least one element [json-pointer:{pointer}]"]
    if len(elements) > _MAX_ELEMENTS:
        return [f"no more than {_MAX_ELEMENTS} items allowed [json-pointer:{pointer}]"]
    return [
        problem
        for place, element in enumerate(elements)
        if not (isinstance(element, dict) and element.get("type") == "image")
        for problem in _text(element, f"{pointer}/{place}", _MAX_SECTION)
    ]


def _text(text: object, pointer: str, most: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    if not isinstance(text, dict) or text.get("type") not in types or not isinstance(text.get("text"), str):
        return [f"failed to match all allowed schemas [json-pointer:{pointer}]"]
    length = len(text["text"])
    if length == 0:
        return [f"must be more than 0 characters [json-pointer:{pointer}/text]"]
    return [f"must be less than {most + 1} characters [json-pointer:{pointer}/text]"] if length > most else []
