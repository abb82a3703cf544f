"""MongoDB proxy on loopback that lets commands on one database through, and refuses all others.

A migration that names another database in its code, or reads its address from somewhere but then uses this
connection, does not reach it: the command is refused as a server would refuse it, and noted. What was let through is
counted, so that a migration that never used this connection is noticed too.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from dataclasses import dataclass
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
    """The proxy; it listens on `port` while the context is entered, on a loop and a thread of its own."""

    port: int

    def __init__(self, upstream: Upstream, database: str) -> None:
        self._upstream = upstream
        self._database = database
        self._commands = self._writes = 0
        self._refusals: dict[RefusedCommand, None] = {}
        self._loop = asyncio.new_event_loop()
        # A daemon: a run that is broken off does not wait for it.
        self._thread = threading.Thread(target=self._loop.run_forever, name="migration guard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, HOST, 0), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def seen(self) -> GuardedTraffic:
        """The commands so far."""
        return GuardedTraffic(self._commands, self._writes, tuple(self._refusals))

    async def _close(self) -> None:
        self._server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # one that was just accepted begins another
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is let go in the loop's next round

    async def _serve(self, client: StreamReader, to_client: StreamWriter) -> None:
        upstream = self._upstream
        # Whatever ends one side ends the other: the client sees what it would see from the server itself.
        with suppress(OSError, EOFError):
            try:
                async with asyncio.timeout(_CONNECT_WITHIN):
                    server, to_server = await asyncio.open_connection(upstream.host, upstream.port, ssl=upstream.tls)
                ways = [
                    asyncio.create_task(self._pass_questions(client, to_client, to_server)),
                    asyncio.create_task(_pass_answers(server, to_client)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
                    to_server.close()  # what the client sent last still goes out
            finally:
                to_client.close()

    async def _pass_questions(self, client: StreamReader, to_client: StreamWriter, to_server: StreamWriter) -> None:
        try:
            while True:
                message = await _message(client)
                command = wire.read(message)
                reason = self._refuse(command)
                if not reason:
                    to_server.write(message)
                    await to_server.drain()
                elif command.expects_reply:
                    to_client.write(wire.refusal(message, reason))
        except wire.UnknownMessage as unknown:
            self._refusals[RefusedCommand(str(unknown), "", writes=True)] = None

    def _refuse(self, command: wire.WireCommand) -> str:
        """Why `command` is not let through; empty if it is."""
        if command.is_harmless:
            return ""
        outside = command.outside(self._database)
        if outside:
            self._refusals[RefusedCommand(command.name, outside, command.writes)] = None
            return f"{command.name} on {outside}: this rehearsal is for {self._database} alone"
        self._commands += 1
        self._writes += command.writes
        return ""


async def _pass_answers(server: StreamReader, to_client: StreamWriter) -> None:
    while True:
        to_client.write(await _message(server))
        await to_client.drain()


async def _message(source: StreamReader) -> bytes:
    """The next whole message. Raises EOFError at the end, UnknownMessage for one that cannot be."""
    header = await source.readexactly(wire.HEADER_SIZE)
    return header + await source.readexactly(wire.size_of(header) - wire.HEADER_SIZE)
