"""A relay before the sandbox's Cloud Run API, for what the sandbox does not do: lose answers, keep silent, refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Relay:
    """Passes requests on; `before` runs first, and what it returns (status, body) is answered instead."""

    upstream: str
    address: str = ""
    before: Callable[[str, str], tuple[int, str] | None] = lambda *_: None
    loses: set[str] = field(default_factory=set)  # methods whose answer is lost after the request has been passed on
    silent: threading.Event = field(default_factory=threading.Event)  # set: nothing is answered until it is cleared
    asked: list[tuple[str, str]] = field(default_factory=list)

    def count(self, method: str) -> int:
        """How many requests of this method came in."""
        return sum(1 for one, _ in self.asked if one == method)


@contextmanager
def relay_to(upstream: str) -> Iterator[Relay]:
    """A relay to `upstream` (http://host:port), which ends with the block."""
    relay = Relay(upstream)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            relay.asked.append((self.command, self.path))
            instead = relay.before(self.command, self.path)
            while relay.silent.is_set() and not over.wait(0.02):
                pass
            if over.is_set():
                self.close_connection = True
                return
            status, kind, content = (
                (instead[0], "text/html", instead[1].encode()) if instead else _passed_on(relay.upstream, self, body)
            )
            if self.command in relay.loses:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  (the base class's names)

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output is for the test."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    relay.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield relay
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _passed_on(upstream: str, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
    there = urlsplit(upstream)
    connection = HTTPConnection(there.hostname or "", there.port or 80, timeout=10)
    try:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in {"host", "connection"}}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()
