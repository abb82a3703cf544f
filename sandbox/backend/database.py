"""MongoDB: a real wire-protocol server in this process, seeded, with a slow and a dead address beside it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import socket
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.backend.catalogue import TITLES
from sandbox.platform.tasks import TaskSet

if TYPE_CHECKING:
    from secantus import SecantusDBServer

ENVIRONMENTS = ("staging", "production")
SLOW_REPLY_SECONDS = 0.15
# Small on purpose: logins are frequent here and the accounts are synthetic.
_COST = 2**10


@dataclass(frozen=True, slots=True)
class User:
    """A synthetic user of the service."""

    email: str = "smoke@bayit.example"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))


class Database:
    """The server with one database for each environment. `start` and `stop` block; call them in a thread."""

    def __init__(self, smoke_user: User) -> None:
        self._smoke_user = smoke_user
        self.viewer = User("dana@bayit.example")  # one of the many who are not the smoke account
        self._server: SecantusDBServer | None = None
        self.port = 0

    def start(self) -> None:
        """Start the server and seed it. Takes about a second of computing in WiredTiger, without the interpreter."""
        from secantus import SecantusDBServer  # slow to import, and this runs beside other imports

        self._server = SecantusDBServer(storage_path=":memory:", cache_size="100M")
        self._server.start()
        self.port = self._server.address[1]
        self._seed()

    def stop(self) -> None:
        """Stop the server; every connection to it ends."""
        if self._server is None:
            return
        waker = threading.Thread(target=self._wake_acceptor, daemon=True)
        waker.start()
        self._server.stop()
        self._server = None

    def _wake_acceptor(self) -> None:
        # Closing a socket does not wake a thread that is blocked in accept() on it, and `stop` gives that thread two
        # seconds. A connection wakes it; as `stop` may only just have begun, connect until nobody listens any more.
        with contextlib.suppress(OSError):
            while True:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                threading.Event().wait(0.01)

    def _seed(self) -> None:
        from pymongo import MongoClient

        now = datetime.now(UTC)
        people = [self._smoke_user, self.viewer, User("noam@bayit.example")]
        users = [{"email": user.email, "password": hash_password(user.password), "created_at": now} for user in people]
        content = [{"_id": title.id, "title": title.title, "type": title.type, "created_at": now} for title in TITLES]
        with MongoClient[dict[str, object]](f"mongodb://127.0.0.1:{self.port}/?directConnection=true") as client:
            for environment in ENVIRONMENTS:
                database = client[database_name(environment)]
                database["users"].insert_many([dict(user) for user in users])
                database["users"].create_index("email", unique=True)
                database["content"].insert_many([dict(item) for item in content])
                database["content"].create_index("title")
                database["sessions"].create_index("token", unique=True)


def database_name(environment: str) -> str:
    """The name of one environment's database."""
    return f"bayit_{environment}"


def mongodb_uri(port: int, environment: str) -> str:
    """The address of one environment's database behind a port of this machine."""
    return f"mongodb://127.0.0.1:{port}/{database_name(environment)}"


def hash_password(password: str) -> str:
    """`scrypt$<salt>$<hash>`, both in hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Whether the password is the one that `stored` was made from."""
    _, salt, digest = stored.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1, dklen=32)


class DeadAddress:
    """A port that refuses connections and that nobody else can come to use while this object holds it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))  # bound, but never listening
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class SlowProxy:
    """Passes TCP connections on to a port and holds back each reply."""

    def __init__(self, target_port: int, reply_seconds: float = SLOW_REPLY_SECONDS) -> None:
        self._target_port = target_port
        self._reply_seconds = reply_seconds
        self._server: asyncio.Server | None = None
        self._connections = TaskSet()
        self.port = 0

    async def start(self) -> None:
        """Listen on a port that the kernel chooses."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        await self._connections.cancel()

    async def _serve(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.hold(task)
        with contextlib.closing(client_writer), contextlib.suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            with contextlib.closing(server_writer):
                there = asyncio.create_task(_copy(client_reader, server_writer, 0.0))
                back = asyncio.create_task(_copy(server_reader, client_writer, self._reply_seconds))
                try:
                    await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    there.cancel()
                    back.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(1 << 20):
            await asyncio.sleep(delay_seconds)
            writer.write(chunk)
            await writer.drain()
