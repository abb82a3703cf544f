"""What all endpoints of Sentry's Web API have in common: refusals, bodies and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sandbox.vendor_api import Json, Refusal, json_object

if TYPE_CHECKING:
    from starlette.requests import Request

Item = TypeVar("Item")

_MAX_PAGE = 100
FORBIDDEN = "You do not have permission to perform this action."
_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"


class SentryRefusal(Refusal):
    """An answer other than 2xx; the detail is a text, or texts by field."""

    def __init__(self, status: int, detail: str | dict[str, Json]) -> None:
        super().__init__(status, {"detail": detail} if isinstance(detail, str) else detail)


def not_found() -> SentryRefusal:
    """What is not there."""
    return SentryRefusal(404, "The requested resource does not exist")


async def read_body(request: Request) -> dict[str, object]:
    """The JSON object that came with a request. Raises SentryRefusal."""
    no_object = SentryRefusal(400, "Invalid data. Expected a dictionary.")
    return await json_object(request, SentryRefusal(400, "JSON parse error"), no_object)


def page(
    request: Request, items: Sequence[Item], show: Callable[[Item], object], size_key: str = "per_page"
) -> tuple[list[object], dict[str, str]]:
    """One page of the items, and the Link header that leads to its neighbours. Raises SentryRefusal."""
    size_text = request.query_params.get(size_key, str(_MAX_PAGE))
    if not (size_text.isdigit() and 1 <= int(size_text) <= _MAX_PAGE):
        raise SentryRefusal(400, f"Invalid {size_key} value. Must be between 1 and {_MAX_PAGE}.")
    size, start = int(size_text), _offset(request.query_params.get("cursor", "0:0:0"))
    before, after = max(0, start - size), start + size
    links = [
        _link(request, "previous", f"0:{before}:1", more=start > 0),
        _link(request, "next", f"0:{after}:0", more=after < len(items)),
    ]
    return [show(item) for item in items[start:after]], {"Link": ", ".join(links)}


def iso(at: datetime) -> str:
    """A time as the API writes it."""
    return at.astimezone(UTC).strftime(_ISO)


def _offset(cursor: str) -> int:
    parts = cursor.split(":")
    if len(parts) != 3 or not parts[1].isdigit():
        raise SentryRefusal(400, "Invalid cursor parameter.")
    return int(parts[1])


def _link(request: Request, relation: str, cursor: str, *, more: bool) -> str:
    url = request.url.include_query_params(cursor=cursor)
    return f'<{url}>; rel="{relation}"; results="{"true" if more else "false"}"; cursor="{cursor}"'
