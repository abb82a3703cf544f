"""The front door of a service: splits traffic over revisions as the control plane says, and serves the tags."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

import httpx

from sandbox.platform.log_store import HttpRequest
from sandbox.platform.transport import plain_transport

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from sandbox.platform.log_store import LogStore
    from sandbox.platform.model import Revision, Service
    from sandbox.platform.traffic_log import TrafficLog

REMEMBERED_REQUESTS = 1000
_CONNECT_SECONDS, _RESPONSE_SECONDS = 5.0, 300.0
# These belong to one connection, not to the message (RFC 9110, 7.6.1). Transfer-Encoding is dealt with apart.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)

Headers = list[tuple[bytes, bytes]]


class Routes(Protocol):
    """What the ingress asks the control plane, by short names."""

    def route(self, service: str) -> str | None:
        """The revision that answers one request."""

    def tagged(self, service: str, tag: str) -> str | None:
        """The revision behind a tag."""


class Containers(Protocol):
    """What the ingress asks of the runtime."""

    async def origin(self, revision: Revision) -> str | None:
        """The base URL of a revision's server, started on demand."""


@dataclass(frozen=True, slots=True)
class Served:
    """One request that the ingress answered. `revision` is empty when none could serve, `tag` on the main address."""

    time: datetime
    method: str
    path: str
    status: int
    revision: str
    tag: str
    user_agent: str
    seconds: float  # until the response began


class Record:
    """What an ingress answered: counts for ever, single requests up to a limit."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()
        self.requests: deque[Served] = deque(maxlen=REMEMBERED_REQUESTS)

    def add(self, served: Served) -> None:
        """Note one request."""
        self.counts[served.revision, served.status] += 1
        self.requests.append(served)


class Ingress:
    """The addresses of one service: HTTP, HTTPS and one more for each tag.

    Requests and responses pass through unchanged but for the headers that belong to a connection; X-Forwarded-For
    and X-Forwarded-Proto are added on the way in, Date and Server are replaced on the way out, as Cloud Run does.
    """

    def __init__(
        self, service: Service, routes: Routes, containers: Containers, traffic: TrafficLog, logs: LogStore
    ) -> None:
        self.service = service
        self.traffic = traffic
        self.logs = logs
        self.record = Record()
        self._routes = routes
        self._containers = containers
        # A transport, not a client: no redirects followed, no cookies kept, no header added.
        self._transport = plain_transport()

    async def close(self) -> None:
        """End the connections to the revisions. The listeners belong to whoever made them."""
        await self._transport.aclose()

    def door(self, tag: str = "") -> Door:
        """The ASGI application of the main address, or of a tag's."""
        return Door(self, tag)

    def tags(self) -> set[str]:
        """The tags that are in use now."""
        return {line.tag for line in self.service.serving if line.tag}

    async def choose(self, tag: str) -> Revision | None:
        """The revision for one request, or None."""
        name = self._routes.tagged(self.service.name, tag) if tag else self._routes.route(self.service.name)
        return self.service.revisions.get(name) if name else None

    async def send(self, revision: Revision, request: _Incoming) -> httpx.Response | None:
        """Pass a request on to a revision and return its response, unread; None when the revision is not there.

        Raises httpx.TimeoutException or httpx.TransportError when the revision got the request but no response came.
        """
        for _ in range(2):  # a second time if its server was stopped between the look-up and the connection
            origin = await self._containers.origin(revision)
            if origin is None:
                return None
            try:
                return await self._transport.handle_async_request(request.for_origin(origin))
            except httpx.ConnectError:
                continue
        return None


class Door:
    """Answers the requests that come in on one address of an ingress."""

    def __init__(self, ingress: Ingress, tag: str) -> None:
        self._ingress = ingress
        self._tag = tag

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = _Incoming(scope, receive)
        started = time.monotonic()
        revision = await self._ingress.choose(self._tag)
        if revision is None:
            status = 404 if self._tag else 503  # a tag that was removed is an unknown host
            self._note(scope, request, status, "", started)
            await _refuse(send, status)
            return
        try:
            response = await self._ingress.send(revision, request)
        except httpx.TimeoutException:
            self._note(scope, request, 504, revision.name, started)
            await _refuse(send, 504)
            return
        except httpx.TransportError:
            self._note(scope, request, 503, revision.name, started)
            await _refuse(send, 503)
            return
        if response is None:
            self._note(scope, request, 503, "", started)
            await _refuse(send, 503)
            return
        self._note(scope, request, response.status_code, revision.name, started)
        await _pass_on(response, send)

    def _note(self, scope: Scope, request: _Incoming, status: int, revision: str, started: float) -> None:
        ingress, seconds = self._ingress, time.monotonic() - started
        name, target = ingress.service.name, request.target.decode("ascii")
        agent = request.header(b"user-agent").decode("latin-1")
        if revision:  # what reaches no revision is in no revision's metrics
            ingress.traffic.add(name, revision, status, seconds)
        url = f"{scope['scheme']}://{request.header(b'host').decode('latin-1')}{target}"
        line = HttpRequest(scope["method"], url, status, seconds, agent, scope["client"][0])
        ingress.logs.request(name, revision, line)
        ingress.record.add(
            Served(datetime.now(UTC), scope["method"], target, status, revision, self._tag, agent, seconds)
        )


class _Incoming:
    """A request as it came in, and the same request as it goes to a revision."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._method: str = scope["method"]
        self._headers: Headers = list(scope["headers"])
        self._scheme: str = scope["scheme"]
        self._client: str = scope["client"][0]
        self._receive = receive
        query = scope["query_string"]
        self.target: bytes = scope["raw_path"] + (b"?" + query if query else b"")

    def header(self, name: bytes) -> bytes:
        """The first value of a header, given in lower case; empty when there is none."""
        return next((value for key, value in self._headers if key == name), b"")

    def for_origin(self, origin: str) -> httpx.Request:
        """The request to a revision's server. The target travels as bytes, so that nothing normalises it."""
        timeout = httpx.Timeout(_RESPONSE_SECONDS, connect=_CONNECT_SECONDS)
        chunked = b"chunked" in self.header(b"transfer-encoding").lower()
        has_body = chunked or self.header(b"content-length") not in {b"", b"0"}
        return httpx.Request(
            self._method,
            origin,
            headers=self._forwarded(origin, chunked=chunked),
            stream=_Body(self._receive) if has_body else httpx.ByteStream(b""),
            extensions={"target": self.target, "timeout": timeout.as_dict()},
        )

    def _forwarded(self, origin: str, *, chunked: bool) -> Headers:
        replaced = {b"x-forwarded-for", b"x-forwarded-proto"}
        headers = [(name, value) for name, value in _end_to_end(self._headers) if name not in replaced]
        earlier = self.header(b"x-forwarded-for")
        client = self._client.encode()
        headers.append((b"x-forwarded-for", earlier + b"," + client if earlier else client))
        headers.append((b"x-forwarded-proto", self._scheme.encode()))
        if not self.header(b"host"):  # HTTP/1.0
            headers.append((b"host", origin.removeprefix("http://").encode()))
        if chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        return headers


class _Body(httpx.AsyncByteStream):
    """A request body that is passed on as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise httpx.ReadError("the client went away before its request was complete")
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)


def _end_to_end(headers: Headers) -> Headers:
    lines = [value for name, value in headers if name.lower() == b"connection"]
    dropped = _HOP_BY_HOP | {part.strip().lower() for line in lines for part in line.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


async def _pass_on(response: httpx.Response, send: Send) -> None:
    replaced = {b"date", b"server"}
    headers = [(name, value) for name, value in _end_to_end(response.headers.raw) if name.lower() not in replaced]
    headers += _front_end_headers()
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await response.aclose()


async def _refuse(send: Send, status: int) -> None:
    reason = {404: "Page not found", 503: "Service Unavailable", 504: "Gateway Timeout"}[status]
    page = f"<html><head><title>{status} {reason}</title></head><body><h1>Error: {reason}</h1></body></html>\n".encode()
    headers = [(b"content-type", b"text/html; charset=UTF-8"), (b"content-length", b"%d" % len(page))]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_front_end_headers()]})
    await send({"type": "http.response.body", "body": page})


def _front_end_headers() -> Headers:
    return [(b"date", formatdate(usegmt=True).encode()), (b"server", b"Google Frontend")]
