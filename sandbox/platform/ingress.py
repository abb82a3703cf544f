"""Cloud Run's front end: splits a service's traffic over its revisions by percentage, and serves the tags."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

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

Headers = Sequence[tuple[bytes, bytes]]
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


class Ingress:
    """The addresses of one service: HTTP, HTTPS and one more for each tag.

    Requests and responses pass through unchanged but for the headers that belong to a connection; X-Forwarded-For
    and X-Forwarded-Proto are added on the way in, Date and Server are replaced on the way out, as Cloud Run does.
    """

    def __init__(
        self, service: CloudRunService, route: Route, origin: Origin, traffic: TrafficLog, logs: LogStore
    ) -> None:
        self.service = service
        self.traffic = traffic
        self.logs = logs
        self.counts: Counter[tuple[str, int]] = Counter()  # of answers, by revision and status
        self.requests: deque[ServedRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._route, self._origin = route, origin
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

        Raises httpx.TimeoutException or httpx.TransportError when the revision got the request but no response came.
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
        started, wait, response = time.monotonic(), _Wait(), None
        status = 404 if tag else 503  # a tag that was removed is an unknown host
        revision = self.service.revisions.get(self._route(self.service.name, tag) or "")
        reached = revision.name if revision else ""
        if revision is not None:
            try:
                response = await self._send(revision, request, wait)
                status, reached = (response.status_code, reached) if response else (503, "")
            except httpx.TimeoutException:
                status = 504
            except (httpx.TransportError, ClientDisconnect):
                status = 503
        seconds = time.monotonic() - started
        if reached:  # what reaches no revision is in no revision's metrics, and a container's start in no latency there
            self.traffic.add(self.service.name, reached, status, seconds - wait.seconds)
        self._note(request, status, reached, tag, seconds)
        if response is None:
            await _refusal(status)(request.scope, request.receive, send)
        else:
            await _pass_on(response, send)

    def _note(self, request: Request, status: int, revision: str, tag: str, seconds: float) -> None:
        target = _target(request).decode("ascii")
        served = ServedRequest(
            datetime.now(UTC),
            request.method,
            target,
            status,
            revision,
            tag,
            request.headers.get("user-agent", ""),
            seconds,
            url=f"{request.scope['scheme']}://{request.headers.get('host', '')}{target}",
            client=request.scope["client"][0],
        )
        self.logs.request(self.service.name, served)
        self.counts[revision, status] += 1
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


def _end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    lines = [value for name, value in headers if name.lower() == b"connection"]
    dropped = _HOP_BY_HOP | {part.strip().lower() for line in lines for part in line.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _pass_on(response: httpx.Response, send: Send) -> None:
    replaced = {b"date", b"server"}
    headers = [(name, value) for name, value in _end_to_end(response.headers.raw) if name.lower() not in replaced]
    headers += _front_end_headers()
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await response.aclose()


def _refusal(status: int) -> Response:
    reason = {404: "Page not found", 503: "Service Unavailable", 504: "Gateway Timeout"}[status]
    page = f"<html><head><title>{status} {reason}</title></head><body><h1>Error: {reason}</h1></body></html>\n"
    response = HTMLResponse(page, status)
    response.raw_headers += _front_end_headers()
    return response


def _front_end_headers() -> Headers:
    return [(b"date", formatdate(usegmt=True).encode()), (b"server", b"Google Frontend")]
