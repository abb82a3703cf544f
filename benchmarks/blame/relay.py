"""A relay before a service or an API, which now and then answers in its place, late, or not at all."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_WITHIN = 30.0
_POLL = 0.02
# These belong to one connection, or are written anew.
_DROPPED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset
BROKEN = "broken by the relay"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in; `number` counts from 1."""

    number: int
    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Instead:
    """What a request meets: an answer of `status`, a `reset` connection, or `late` seconds before it is passed on."""

    status: int = 0
    reset: bool = False
    late: float = 0.0


@dataclass
class Relay:
    """Passes requests on. `before` sees each first; `rewritten` makes what is answered of what was answered."""

    upstream: str
    address: str = ""
    before: Callable[[Asked], Instead | None] = lambda _: None
    rewritten: Callable[[bytes], bytes] = lambda body: body
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_number(self) -> int:
        """The number of a request that came in now."""
        with self.lock:
            self.count += 1
            return self.count


@contextmanager
def relay_to(upstream: str) -> Iterator[Relay]:
    """A relay to `upstream` (http://host:port), which ends with the block."""
    relay = Relay(upstream)

    class Handler(_Handler):
        there = relay

    server = _Server(("127.0.0.1", 0), Handler)
    relay.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL})
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up belong to it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    there: Relay

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        instead = self.there.before(Asked(self.there.next_number(), self.command, self.path, body))
        if instead and instead.reset:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()
            return
        time.sleep(instead.late if instead else 0)
        if instead and instead.status:
            self._write(instead.status, [("content-type", "text/plain")], BROKEN.encode())
            return
        with suppress(OSError, HTTPException):
            self._pass_on(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  (the base class's names)

    def _pass_on(self, body: bytes) -> None:
        there = urlsplit(self.there.upstream)
        connection = HTTPConnection(there.hostname or "", there.port or 80, timeout=_WITHIN)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = self.there.rewritten(answer.read())
        finally:
            connection.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _DROPPED]
        self._write(answer.status, kept, content)

    def _write(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in [*headers, ("content-length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: what a case says is said by its run."""
