"""Runs the containers: one real HTTP server for each revision that has something to serve."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.backend.app import Backend, Configuration
from sandbox.backend.health import Identity
from sandbox.backend.upstreams import addresses
from sandbox.faults import Faults
from sandbox.platform.listener import Listener
from sandbox.platform.log_store import STDERR, STDOUT, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.backend.app import Host
    from sandbox.backend.sentry_client import SentrySettings
    from sandbox.platform.log_store import LogStore, Severity
    from sandbox.platform.model import Revision, Service

DRAIN_SECONDS = 30.0
_MEMORY = (
    "Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit, see "
    "https://cloud.google.com/run/docs/configuring/memory-limits"
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the revisions of one environment find their database and the services they call."""

    mongodb: str
    mongodb_slow: str
    mongodb_dead: str
    upstreams: str
    sentry: SentrySettings

    def configuration(self, revision: Revision, faults: Faults, host: Host) -> Configuration:
        """The environment variables, so to speak, of one revision; some of its faults are wrong addresses."""

        def mongodb() -> str:
            if "mongodb-down" in faults:
                return self.mongodb_dead
            return self.mongodb_slow if "mongodb-slow" in faults else self.mongodb

        return Configuration(
            identity=Identity(revision.service, revision.name, revision.commit),
            mongodb_url=mongodb,
            upstreams=lambda: addresses(self.upstreams, openai_slow="dependency-slow" in faults),
            sentry=self.sentry,
            faults=faults,
            host=host,
        )


@dataclass(frozen=True, slots=True)
class _Container:
    backend: Backend
    listener: Listener


@dataclass(frozen=True, slots=True)
class _Host:
    """What a container of `revision` may ask of what runs it."""

    runtime: RevisionRuntime
    revision: Revision

    def write(self, severity: Severity, text: str) -> None:
        """Keep a line that the container wrote."""
        self.runtime.log(STDERR if severity == "ERROR" else STDOUT, self.revision, severity, text)

    def out_of_memory(self) -> None:
        """Kill the container."""
        self.runtime.kill(self.revision)


class RevisionRuntime:
    """Starts and stops revisions; `surroundings` answers what a service's revisions are configured with.

    What containers write, and what becomes of them, goes to `logs`.
    """

    def __init__(self, surroundings: Callable[[str], Surroundings], logs: LogStore) -> None:
        self._surroundings = surroundings
        self._logs = logs
        self._faults: dict[str, Faults] = {}  # of the revisions that serve, whichever container does it
        self._running: dict[str, _Container] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._draining: set[asyncio.Task[None]] = set()

    async def start(self, revision: Revision) -> bool:
        """Bring the revision's server up unless it is; False for a revision whose container failed to start."""
        return await self.origin(revision) is not None

    async def stop(self, revision: Revision) -> None:
        """Take the revision's server out of service at once; running requests finish in the background."""
        self._faults.pop(revision.name, None)
        container = self._running.pop(revision.name, None)
        if container is not None:
            self.log(SYSTEM, revision, "INFO", "Container terminated: it receives no traffic any more.")
            self._let_go(container, DRAIN_SECONDS)

    def kill(self, revision: Revision) -> None:
        """End the revision's container where it stands, as for too much memory; the next request starts another."""
        container = self._running.pop(revision.name, None)
        if container is not None:
            self.log(SYSTEM, revision, "ERROR", _MEMORY)
            self.log(SYSTEM, revision, "WARNING", "Container terminated on signal 9.")
            self._let_go(container, 0)

    async def origin(self, revision: Revision) -> str | None:
        """The base URL of the revision's server, which is started if it is not up; None when it cannot start."""
        if revision.failure:
            return None
        async with self._locks[revision.name]:
            container = self._running.get(revision.name)
            if container is None:
                faults = self._faults.setdefault(revision.name, Faults(revision.faults, begun=False))
                surroundings = self._surroundings(revision.service)
                self.log(SYSTEM, revision, "INFO", "Starting new instance. Reason: there is none for its traffic.")
                backend = Backend(surroundings.configuration(revision, faults, _Host(self, revision)))
                container = _Container(backend, Listener(backend))
                await container.listener.start()
                backend.start()
                self._running[revision.name] = container
            return container.listener.url

    def running(self, service: Service) -> list[str]:
        """The revisions of the service that have an instance."""
        return [name for name in service.revisions if name in self._running]

    def has(self, revision: str | None, fault: str) -> bool:
        """Whether a revision that serves suffers from a fault now."""
        return revision in self._faults and fault in self._faults[revision]

    def log(self, log: str, revision: Revision, severity: Severity, text: str) -> None:
        """Write a line about a revision's container."""
        self._logs.write(log, revision.service, revision.name, severity, text)

    def scale(self, service: Service) -> None:
        """Stop what no longer receives traffic and has no tag, as an autoscaler does; a later request starts it."""
        active = {line.revision for line in service.serving if line.percent > 0 or line.tag}
        for revision in service.revisions.values():
            if revision.name in self._running and revision.name not in active:
                stopping = asyncio.create_task(self.stop(revision))
                self._draining.add(stopping)
                stopping.add_done_callback(self._draining.discard)

    async def close(self) -> None:
        """End everything, running requests included."""
        for drain in list(self._draining):
            drain.cancel()
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*self._draining, *(_end(container, 0) for container in running), return_exceptions=True)

    def _let_go(self, container: _Container, grace_seconds: float) -> None:
        ending = asyncio.create_task(_end(container, grace_seconds))
        self._draining.add(ending)
        ending.add_done_callback(self._draining.discard)


async def _end(container: _Container, grace_seconds: float) -> None:
    try:
        await container.listener.stop(grace_seconds)
    finally:
        await container.backend.close()
