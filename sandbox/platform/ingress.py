"""Cloud Run's front end: splits a service's traffic over its revisions by percentage, and serves the tags."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
from starlette.requests import ClientDisconnect, Request

from sandbox.platform.front_end import (
    BROKEN_OFF,
    IAM,
    NO_INSTANCE,
    NOT_FOUND,
    NOT_STARTED,
    OWN_HEADERS,
    TIMED_OUT,
    HeaderLines,
    NoInstanceError,
    Refusal,
    own_headers,
    trace_of,
)
from sandbox.platform.listener import plain_transport
from sandbox.platform.log_store import ServedRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sandbox.platform.log_store import LogStore
    from sandbox.platform.model import CloudRunService, Revision
    from sandbox.platform.traffic_log import TrafficLog

REMEMBERED_REQUESTS = 1000
_CONNECT_SECONDS, _RESPONSE_SECONDS = 5.0, 300.0
# These belong to one connection, not to the message (RFC 9110, 7.6.1). Transfer-Encoding is dealt with apart.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)

Route = Callable[[str, str], str | None]  # the control plane's: service and tag to the revision that answers
Origin = Callable[["Revision"], Awaitable[str | None]]  # the runtime's: the base URL of a server, started on demand


class _Wait:
    """How long an instance was waited for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.seconds -= time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic()


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request, where it was sent, and how long the answer took; of that, what an instance was waited for."""

    request: Request
    tag: str
    revision: Revision | None
    trace: str
    seconds: float
    waited: float


class Ingress:
    """The addresses of one service: HTTP, HTTPS and one more for each tag.

    Requests and responses pass through unchanged but for the headers that belong to a connection; X-Forwarded-For
    and X-Forwarded-Proto are added on the way in, Date, Server and a trace are set on the way out, as Cloud Run does.
    `faults` are those in force: iam-refused, canonical-host, trusted-hosts.
    """

    def __init__(
        self,
        service: CloudRunService,
        route: Route,
        origin: Origin,
        traffic: TrafficLog,
        logs: LogStore,
        faults: AbstractSet[str] = frozenset(),
    ) -> None:
        self.service = service
        self.traffic = traffic
        self.logs = logs
        self.counts: Counter[tuple[str, int]] = Counter()  # of answers, by revision and status
        self.requests: deque[ServedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._route, self._origin, self._faults = route, origin, faults
        # A transport, not a client: no redirects followed, no cookies kept, no header added.
        self._transport = plain_transport()

    async def close(self) -> None:
        """End the connections to the revisions. The listeners belong to whoever made them."""
        await self._transport.aclose()

    def app(self, tag: str = "") -> ASGIApp:
        """The ASGI application of the main address, or of a tag's."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._answer(Request(scope, receive), tag, send)

        return answer

    async def _send(self, revision: Revision, request: Request, wait: _Wait) -> httpx.Response | None:
        """Pass a request on to a revision and return its response, unread; None when the revision is not there.

        Raises httpx.TimeoutException or httpx.TransportError when the revision got the request but no response came,
        NoInstanceError when it can have no instance.
        """
        for _ in range(2):  # a second time if its server was stopped between the look-up and the connection
            with wait:
                origin = await self._origin(revision)
            if origin is None:
                return None
            try:
                return await self._transport.handle_async_request(_for_origin(request, origin))
            except httpx.ConnectError:
                continue
        return None

    async def _answer(self, request: Request, tag: str, send: Send) -> None:
        started, wait = time.monotonic(), _Wait()
        answer: httpx.Response | Refusal
        revision = self.service.revisions.get(self._route(self.service.name, tag) or "")
        try:
            answer = await self._from(revision, request, tag, wait)
        except NoInstanceError:
            answer = NO_INSTANCE
        except httpx.TimeoutException:
            answer = TIMED_OUT
        except (httpx.TransportError, ClientDisconnect):
            answer = BROKEN_OFF
        trace = trace_of(request.headers)
        self._note(_Exchange(request, tag, revision, trace, time.monotonic() - started, wait.seconds), answer)
        headers = own_headers(request.scope["scheme"], trace)
        if isinstance(answer, Refusal):
            page = answer.response(request.url.path)
            page.raw_headers += headers
            await page(request.scope, request.receive, send)
        else:
            await _pass_on(answer, headers, send)

    async def _from(
        self, revision: Revision | None, request: Request, tag: str, wait: _Wait
    ) -> httpx.Response | Refusal:
        """The answer to a request. Raises as `_send`."""
        if revision is None:
            return NOT_FOUND if tag else NOT_STARTED
        if "iam-refused" in self._faults:
            return IAM
        return self._other_address(request, tag) or await self._send(revision, request, wait) or NOT_STARTED

    def _other_address(self, request: Request, tag: str) -> httpx.Response | None:
        """What an application that knows its main address only answers at a tag's; None where it does not care."""
        if tag and "canonical-host" in self._faults:
            return httpx.Response(301, headers={"location": self.service.url + _target(request).decode("ascii")})
        if tag and "trusted-hosts" in self._faults:
            return httpx.Response(400, stream=httpx.ByteStream(b"Invalid host header"))
        return None

    def _note(self, exchange: _Exchange, answer: httpx.Response | Refusal) -> None:
        """Count and log an answer. A container's start is in no latency of the metrics."""
        request, revision = exchange.request, exchange.revision.name if exchange.revision else ""
        refusal = answer if isinstance(answer, Refusal) else None
        status = answer.status if isinstance(answer, Refusal) else answer.status_code
        reached = revision if refusal is None or refusal.reached else ""
        if reached:  # what reaches no revision is in no revision's metrics
            self.traffic.add(self.service.name, reached, status, exchange.seconds - exchange.waited)
        target = _target(request).decode("ascii")
        served = ServedRequest(
            datetime.now(UTC),
            request.method,
            target,
            status,
            "" if refusal is NOT_STARTED else revision,
            exchange.tag,
            request.headers.get("user-agent", ""),
            exchange.seconds if reached else 0.0,
            url=f"{request.scope['scheme']}://{request.headers.get('host', '')}{target}",
            client=request.scope["client"][0],
            trace=exchange.trace,
        )
        if refusal is not NOT_FOUND:
            self.logs.request(self.service.name, served, refusal.said if refusal else "")
        self.counts[reached, status] += 1
        self.requests.append(served)


def _target(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    path: bytes = request.scope["raw_path"]
    return path + (b"?" + query if query else b"")


def _for_origin(request: Request, origin: str) -> httpx.Request:
    """The request to a revision's server. The target travels as bytes, so that nothing normalises it."""
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    forwarded = [request.headers["x-forwarded-for"]] if "x-forwarded-for" in request.headers else []
    replaced = {b"x-forwarded-for", b"x-forwarded-proto"}
    headers = [(name, value) for name, value in _end_to_end(request.headers.raw) if name not in replaced]
    headers.append((b"x-forwarded-for", ",".join([*forwarded, request.scope["client"][0]]).encode()))
    headers.append((b"x-forwarded-proto", request.scope["scheme"].encode()))
    timeout = httpx.Timeout(_RESPONSE_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.Request(
        request.method,
        origin,
        headers=headers,
        content=request.stream() if has_body else None,
        extensions={"target": _target(request), "timeout": timeout.as_dict()},
    )


def _end_to_end(headers: HeaderLines) -> list[tuple[bytes, bytes]]:
    lines = [value for name, value in headers if name.lower() == b"connection"]
    dropped = _HOP_BY_HOP | {part.strip().lower() for line in lines for part in line.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _pass_on(response: httpx.Response, own: HeaderLines, send: Send) -> None:
    headers = [(name, value) for name, value in _end_to_end(response.headers.raw) if name.lower() not in OWN_HEADERS]
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": [*headers, *own]})
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await response.aclose()
