"""MongoDB proxy on loopback that lets commands on one database through, and refuses all others.

A migration that names another database in its code, or reads its address from somewhere but then uses this
connection, does not reach it: the command is refused as a server would refuse it, and noted. What was let through is
counted, so that a migration that never used this connection is noticed too.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from verification.clients.mongodb import Upstream
from verification.migrations import wire

HOST = "127.0.0.1"

_CONNECT_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class RefusedCommand:
    """A command that was not let through."""

    command: str
    namespace: str
    writes: bool

    def __str__(self) -> str:
        return f"{self.command} on {self.namespace}" if self.namespace else self.command


@dataclass(frozen=True, slots=True)
class GuardedTraffic:
    """The commands that the proxy let through, and those that it refused."""

    commands: int  # on the database, reads and writes
    writes: int
    refusals: tuple[RefusedCommand, ...]


class DatabaseGuard:
    """The proxy; it listens on `port` while the context is entered."""

    def __init__(self, upstream: Upstream, database: str) -> None:
        self._upstream = upstream
        self._database = database
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._commands = self._writes = 0
        self._refusals: dict[RefusedCommand, None] = {}
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="migration guard", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            sockets = [self._listener, *self._sockets]
        for held in sockets:
            _end(held)

    @property
    def seen(self) -> GuardedTraffic:
        """The commands so far."""
        with self._lock:
            return GuardedTraffic(self._commands, self._writes, tuple(self._refusals))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), name="migration guard", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if not self._hold(client):
            return
        try:
            server = self._connect()
        except OSError:  # the client sees a connection that ends, as it would from the server itself
            self._let_go(client)
            return
        if self._hold(server):
            answering = threading.Lock()
            threading.Thread(
                target=self._pass_answers, args=(server, client, answering), name="migration guard", daemon=True
            ).start()
            self._pass_questions(client, server, answering)
        self._let_go(client, server)

    def _connect(self) -> socket.socket:
        upstream = self._upstream
        plain = socket.create_connection((upstream.host, upstream.port), _CONNECT_WITHIN)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = upstream.tls.wrap_socket(plain, server_hostname=upstream.host) if upstream.tls else plain
        connection.settimeout(None)
        return connection

    def _pass_questions(self, client: socket.socket, server: socket.socket, answering: threading.Lock) -> None:
        with contextlib.suppress(OSError):
            while message := _message(client):
                try:
                    command = wire.read(message)
                except wire.UnknownMessage as unknown:
                    self._note(RefusedCommand(str(unknown), "", writes=True))
                    return
                reason = self._refuse(command)
                if not reason:
                    server.sendall(message)
                elif command.expects_reply:
                    with answering:
                        client.sendall(wire.refusal(message, reason))

    def _pass_answers(self, server: socket.socket, client: socket.socket, answering: threading.Lock) -> None:
        with contextlib.suppress(OSError):
            while message := _message(server):
                with answering:
                    client.sendall(message)
        _end(client)

    def _refuse(self, command: wire.WireCommand) -> str:
        """Why `command` is not let through; empty if it is."""
        if command.is_harmless:
            return ""
        outside = command.outside(self._database)
        if outside:
            self._note(RefusedCommand(command.name, outside, command.writes))
            return f"{command.name} on {outside}: this rehearsal is for {self._database} alone"
        with self._lock:
            self._commands += 1
            self._writes += command.writes
        return ""

    def _note(self, refusal: RefusedCommand) -> None:
        with self._lock:
            self._refusals[refusal] = None

    def _hold(self, held: socket.socket) -> bool:
        with self._lock:
            if not self._closed:
                self._sockets.add(held)
                return True
        _end(held)
        return False

    def _let_go(self, *sockets: socket.socket) -> None:
        for held in sockets:
            _end(held)
            with self._lock:
                self._sockets.discard(held)


def _message(source: socket.socket) -> bytes:
    """The next whole message, or nothing at the end. Raises OSError when it ends in the middle."""
    header = _exactly(source, wire.HEADER_SIZE)
    if not header:
        return b""
    try:
        size = wire.size_of(header)
    except wire.UnknownMessage as unknown:
        raise OSError(str(unknown)) from None
    return header + _exactly(source, size - wire.HEADER_SIZE)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = source.recv(min(size - len(data), 1 << 20))
        if not chunk:
            if data:
                raise OSError("the connection ended in the middle of a message")
            return b""
        data += chunk
    return bytes(data)


def _end(held: socket.socket) -> None:
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        held.close()
