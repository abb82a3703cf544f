"""The front door passes requests and responses on unchanged, to the revision that the control plane names."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.platform.certificates import make_certificates
from sandbox.platform.ingress import Ingress
from sandbox.platform.listener import Listener
from sandbox.platform.log_store import LogStore
from sandbox.platform.model import CloudRunService, Revision, TrafficTarget
from sandbox.platform.traffic_log import TrafficLog

DEADLINE_SECONDS = 10.0
NOW = datetime.now(UTC)


@dataclass
class Fleet:
    """Revisions `old` and `new`, each served by the application given, and the routes, set by hand."""

    apps: dict[str, ASGIApp]
    serving: str | None = "old"
    tags: dict[str, str] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)

    def route(self, _service: str, tag: str) -> str | None:
        return self.tags.get(tag) if tag else self.serving

    async def origin(self, revision: Revision) -> str | None:
        if revision.name not in self.apps:
            return None
        if revision.name not in self.listeners:
            self.listeners[revision.name] = Listener(self.apps[revision.name])
            await self.listeners[revision.name].start()
        return self.listeners[revision.name].url

    def service(self) -> CloudRunService:
        revisions = {name: Revision(name, "s", NOW, "image", "c") for name in ("old", "new", "broken")}
        return CloudRunService("s", "production", serving=[TrafficTarget("old", 100)], revisions=revisions)


@dataclass
class Front:
    """A running ingress in front of a fleet, with a client."""

    fleet: Fleet
    ingress: Ingress
    client: httpx.AsyncClient
    port: int


@asynccontextmanager
async def front(fleet: Fleet, tag: str = "") -> AsyncIterator[Front]:
    ingress = Ingress(fleet.service(), fleet.route, fleet.origin, TrafficLog(1.0, 0.5), LogStore(0.5))
    listener = Listener(ingress.app(tag))
    await listener.start()
    try:
        async with httpx.AsyncClient(base_url=listener.url, trust_env=False, timeout=DEADLINE_SECONDS) as client:
            yield Front(fleet, ingress, client, listener.port)
    finally:
        await listener.stop()
        await ingress.close()
        for revision in fleet.listeners.values():
            await revision.stop()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(), 3 * DEADLINE_SECONDS)

    asyncio.run(bounded())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what arrived: the method, the target as bytes, the headers and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    seen = {
        "method": scope["method"],
        "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    headers = [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-app", b"kept"),
    ]
    await send({"type": "http.response.start", "status": 418, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def saying(word: str) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": word.encode()})

    return app


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_body_and_status_pass_through(method: str) -> None:
    async def scenario() -> None:
        async with front(Fleet({"old": echo})) as door:
            body = b"" if method == "GET" else b"\x00\xff body"
            response = await door.client.request(method, "/path", content=body)
            assert response.status_code == 418
            assert (response.json()["method"], response.json()["body"]) == (method, body.decode("latin-1"))

    run(scenario)


@pytest.mark.parametrize(
    "target", ["/a%2Fb?x=%20&y=[1]&y=2", "//double//slash?", "/%7Etilde/../up?q=a+b%2B", "/?a=b?c=d"]
)
def test_the_target_passes_through_byte_for_byte(target: str) -> None:
    async def scenario() -> None:
        async with front(Fleet({"old": echo})) as door:
            answer = await raw(door.port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["target"].rstrip("?") == target.rstrip("?")

    run(scenario)


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    headers, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in headers.lower():
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return headers + b"\r\n\r\n" + body


def test_headers_pass_through_both_ways_but_for_those_of_a_connection() -> None:
    async def scenario() -> None:
        async with front(Fleet({"old": echo})) as door:
            sent = {"Range": "bytes=0-1", "X-Own": "kept", "Host": "bayit.example", "X-Forwarded-For": "10.0.0.1",
                    "X-Forwarded-Proto": "https", "Connection": "X-Hop", "X-Hop": "dropped"}  # fmt: skip
            response = await door.client.get("/", headers=sent)
            seen = response.json()["headers"]
            arrived = dict(seen)
            assert len(seen) == len(arrived), "a header was sent twice"
            assert (arrived["range"], arrived["x-own"], arrived["host"]) == ("bytes=0-1", "kept", "bayit.example")
            assert arrived["x-forwarded-for"] == "10.0.0.1,127.0.0.1"
            assert arrived["x-forwarded-proto"] == "http", "what the client claims about itself is not believed"
            assert "x-hop" not in arrived
            assert arrived["user-agent"].startswith("python-httpx")
            assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
            assert response.headers["x-app"] == "kept"
            assert response.headers["server"] == "Google Frontend"

    run(scenario)


def test_no_header_is_invented_for_a_client_that_sends_none() -> None:
    async def scenario() -> None:
        async with front(Fleet({"old": echo})) as door:
            answer = await raw(door.port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            names = {name for name, _ in json.loads(answer.split(b"\r\n\r\n", 1)[1])["headers"]}
            assert names == {"host", "x-forwarded-for", "x-forwarded-proto"}

    run(scenario)


def test_a_request_reaches_the_revision_while_it_is_being_sent() -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            first = await receive()
            assert first.get("body") == b"first"
            arrived.set()
            await echo(scope, receive, send)

        async with front(Fleet({"old": app})) as door:

            async def halves() -> AsyncIterator[bytes]:
                yield b"first"
                await arrived.wait()
                yield b"second"

            response = await door.client.post("/", content=halves())
            assert response.json()["body"] == "second"

    run(scenario)


def test_a_response_reaches_the_client_while_it_is_being_made() -> None:
    async def scenario() -> None:
        read = asyncio.Event()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await read.wait()
            await send({"type": "http.response.body", "body": b"second"})

        async with front(Fleet({"old": app})) as door, door.client.stream("GET", "/") as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"first"
            read.set()
            assert await anext(chunks) == b"second"

    run(scenario)


def test_a_head_request_gets_the_length_and_no_body() -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["method"] == "HEAD"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1234")]})
        await send({"type": "http.response.body", "body": b""})

    async def scenario() -> None:
        async with front(Fleet({"old": app})) as door:
            for _ in range(2):  # twice: the connection must still be in step
                response = await door.client.head("/")
                assert (response.status_code, response.headers["content-length"], response.content) == (
                    200,
                    "1234",
                    b"",
                )

    run(scenario)


def test_the_next_request_goes_where_the_control_plane_says() -> None:
    async def scenario() -> None:
        fleet = Fleet({"old": saying("old"), "new": saying("new")})
        async with front(fleet) as door:
            assert (await door.client.get("/")).text == "old"
            fleet.serving = "new"
            assert (await door.client.get("/")).text == "new"

    run(scenario)


def test_a_request_in_flight_finishes_on_the_revision_it_reached() -> None:
    async def scenario() -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
            arrived.set()
            await go_on.wait()
            await saying("old")(_scope, _receive, send)

        fleet = Fleet({"old": slow, "new": saying("new")})
        async with front(fleet) as door:
            in_flight = asyncio.create_task(door.client.get("/"))
            await arrived.wait()
            fleet.serving = "new"
            stopping = asyncio.create_task(fleet.listeners.pop("old").stop(DEADLINE_SECONDS))
            assert (await door.client.get("/")).text == "new"
            go_on.set()
            assert (await in_flight).text == "old"
            await stopping

    run(scenario)


def test_a_tag_reaches_its_revision_and_is_unknown_once_removed() -> None:
    async def scenario() -> None:
        fleet = Fleet({"old": saying("old"), "new": saying("new")}, tags={"candidate": "new"})
        async with front(fleet, tag="candidate") as door:
            assert (await door.client.get("/")).text == "new"
            fleet.tags.clear()
            assert (await door.client.get("/")).status_code == 404

    run(scenario)


@pytest.mark.parametrize("serving", [None, "broken"])
def test_503_when_no_revision_can_serve(serving: str | None) -> None:
    async def scenario() -> None:
        async with front(Fleet({"old": saying("old")}, serving=serving)) as door:
            response = await door.client.get("/health")
            assert response.status_code == 503
            assert "Service Unavailable" in response.text
            assert door.ingress.counts == {("", 503): 1}

    run(scenario)


def test_503_when_the_revision_breaks_off_before_it_answers() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]

            class Vanishing(Fleet):
                async def origin(self, revision: Revision) -> str | None:
                    return f"http://127.0.0.1:{port}"

            async def hang_up() -> None:
                listening.setblocking(False)
                connection, _ = await asyncio.get_running_loop().sock_accept(listening)
                await asyncio.get_running_loop().sock_recv(connection, 65536)
                connection.close()

            async with front(Vanishing({})) as door:
                hanging_up = asyncio.create_task(hang_up())
                assert (await door.client.get("/")).status_code == 503
                await hanging_up
                assert door.ingress.counts == {("old", 503): 1}

    run(scenario)


def test_every_answer_is_on_record() -> None:
    async def scenario() -> None:
        fleet = Fleet({"old": echo, "new": saying("new")})
        async with front(fleet) as door:
            await door.client.get("/one?two=3", headers={"User-Agent": "probe/1"})
            fleet.serving = "new"
            await door.client.get("/")
            assert door.ingress.counts == {("old", 418): 1, ("new", 200): 1}
            first = door.ingress.requests[0]
            assert (first.path, first.status, first.revision, first.user_agent) == ("/one?two=3", 418, "old", "probe/1")

    run(scenario)


def test_the_certificate_is_trusted_by_its_authority_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        certificates = make_certificates(tmp_path)
        fleet = Fleet({"old": echo})
        ingress = Ingress(fleet.service(), fleet.route, fleet.origin, TrafficLog(1.0, 0.5), LogStore(0.5))
        listener = Listener(ingress.app(), certificates)
        await listener.start()
        trusted = ssl.create_default_context(cafile=certificates.ca_file)
        trusted.verify_flags |= ssl.VERIFY_X509_STRICT
        for url in (listener.url, f"https://localhost:{listener.port}"):
            async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
                arrived = dict((await client.get(url)).json()["headers"])
                assert arrived["x-forwarded-proto"] == "https"
        async with httpx.AsyncClient(verify=ssl.create_default_context(), trust_env=False) as client:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await client.get(listener.url)
        await listener.stop()
        await ingress.close()
        await fleet.listeners["old"].stop()

    run(scenario)
