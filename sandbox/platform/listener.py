"""HTTP within the sandbox: a server on a loopback port that the kernel chooses, and the connections to such."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import httpx
import uvicorn
from uvicorn.lifespan.off import LifespanOff

from sandbox.platform.certificates import Certificates

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Longer than any client of ours keeps an idle connection, so that the client is the one who lets go.
KEEP_ALIVE_SECONDS = 75


class Listener:
    """A uvicorn server inside the running event loop.

    It leaves the process's signals alone and needs no ticking task, so that dozens of them cost nothing while idle.
    The port is bound in the constructor: the address is known, and connections wait, before `start` has run.
    """

    def __init__(self, app: ASGIApp, certificates: Certificates | None = None) -> None:
        # With the protocol spelt out, asyncio turns Nagle's algorithm off; else each response would take 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(512)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if certificates else 'http'}://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ssl_certfile=certificates.server_file if certificates else None,
            ssl_keyfile=certificates.key_file if certificates else None,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = LifespanOff(config)

    async def start(self) -> None:
        """Accept connections."""
        await self._server.startup(sockets=[self._socket])

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """Take no new connection, let running requests finish for so long, then cut what is left."""
        if not self._server.started:
            self._socket.close()
            return
        for server in self._server.servers:
            server.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks and grace_seconds > 0:
            await asyncio.wait(set(state.tasks), timeout=grace_seconds)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()


def plain_transport() -> httpx.AsyncHTTPTransport:
    """A transport without a proxy and without certificates: reading the trusted ones would take 50 ms each time."""
    # Each request looks at all that are kept, some of them twice.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=20)
    return httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, limits=limits)
