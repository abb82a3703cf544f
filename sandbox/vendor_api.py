"""What the stand-ins of vendors' APIs have in common: JSON, times, refusals, rate limits, outages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

if TYPE_CHECKING:
    from pydantic import ValidationError
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
Endpoint = Callable[[Request], Awaitable[Response]]
_OUTAGE = HTMLResponse("<html><head><title>503 Service Unavailable</title></head><body></body></html>", 503)


class Refusal(Exception):
    """An answer other than 2xx, with its JSON body."""

    def __init__(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body, self.headers = status, body, dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return JSONResponse(self.body, self.status, self.headers)


class VendorApp:
    """The ASGI application of a vendor's API. While `outage` is one of `faults`, it answers 503 to everything.

    An endpoint may raise Refusal; a request that no route takes is answered by `unrouted`.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        unrouted: Refusal | None = None,
        faults: AbstractSet[str] = frozenset(),
        outage: str = "",
    ) -> None:
        handlers = {Refusal: _refused} | ({HTTPException: lambda *_: unrouted.response()} if unrouted else {})
        self.starlette = Starlette(routes=routes, exception_handlers=handlers)
        self._faults, self._outage = faults, outage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (_OUTAGE if self._outage in self._faults else self.starlette)(scope, receive, send)

    def address(self, url: str) -> Mapping[str, Json]:
        """What a client needs to know, as the address document has it; `url` is where the application is."""
        return {"url": url}


@dataclass(slots=True)
class RateLimit:
    """How many of the next requests a rate limit refuses, and what it tells them to wait."""

    times: int = 0
    retry_after: int = 1  # seconds

    def begin(self, times: int, retry_after: int) -> Callable[[], None]:
        """Refuse the next requests; what is returned lifts the limit."""
        self.times, self.retry_after = times, retry_after
        return partial(setattr, self, "times", 0)

    def take(self) -> bool:
        """Whether the request at hand is refused; each one counts."""
        refused = self.times > 0
        self.times -= refused
        return refused


async def json_object(request: Request, unparsable: Exception, no_object: Exception) -> dict[str, object]:
    """The JSON object that came with a request; an empty body is an empty one. Raises one of the two exceptions."""
    try:
        values = json.loads(await request.body() or b"{}")
    except ValueError:
        raise unparsable from None
    if not isinstance(values, dict):
        raise no_object
    return values


def problems(error: ValidationError) -> list[str]:
    """What is wrong with values, each with its place."""
    return [f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in error.errors()]


def bearer(request: Request) -> str:
    """The token that came with a request; empty if none came."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def moment(text: str) -> datetime:
    """A time in ISO 8601; without a zone it is in UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def asked_moment(text: str, refusal: Refusal) -> datetime:
    """A time that a request names. Raises `refusal` for anything else."""
    try:
        return moment(text)
    except ValueError:
        raise refusal from None


def iso(at: datetime) -> str:
    """A time to the second, as most of these APIs write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()
