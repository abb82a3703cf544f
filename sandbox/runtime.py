"""Runs the containers: one real HTTP server for each revision that has something to serve."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.backend import Backend, Configuration
from sandbox.backend_health import Identity
from sandbox.listener import Listener
from sandbox.upstreams import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.model import Revision, Service
    from sandbox.sentry_client import SentrySettings

DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the revisions of one environment find their database and the services they call."""

    mongodb: str
    mongodb_slow: str
    mongodb_dead: str
    upstreams: str
    sentry: SentrySettings

    def configuration(self, revision: Revision) -> Configuration:
        """The environment variables, so to speak, of one revision; some of its faults are wrong addresses."""
        mongodb = self.mongodb
        if "mongodb-down" in revision.faults:
            mongodb = self.mongodb_dead
        elif "mongodb-slow" in revision.faults:
            mongodb = self.mongodb_slow
        return Configuration(
            identity=Identity(revision.service, revision.name, revision.commit),
            mongodb_url=mongodb,
            upstreams=addresses(self.upstreams, openai_slow="dependency-slow" in revision.faults),
            sentry=self.sentry,
            faults=revision.faults,
        )


@dataclass(frozen=True, slots=True)
class _Container:
    backend: Backend
    listener: Listener


class RevisionRuntime:
    """Starts and stops revisions; `surroundings` answers what a service's revisions are configured with."""

    def __init__(self, surroundings: Callable[[str], Surroundings]) -> None:
        self._surroundings = surroundings
        self._running: dict[str, _Container] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._draining: set[asyncio.Task[None]] = set()

    async def start(self, revision: Revision) -> bool:
        """Bring the revision's server up unless it is; False for a revision whose container failed to start."""
        return await self.origin(revision) is not None

    async def stop(self, revision: Revision) -> None:
        """Take the revision's server out of service at once; running requests finish in the background."""
        container = self._running.pop(revision.name, None)
        if container is not None:
            drain = asyncio.create_task(_end(container, DRAIN_SECONDS))
            self._draining.add(drain)
            drain.add_done_callback(self._draining.discard)

    async def origin(self, revision: Revision) -> str | None:
        """The base URL of the revision's server, which is started if it is not up; None when it cannot start."""
        if revision.failure:
            return None
        async with self._locks[revision.name]:
            container = self._running.get(revision.name)
            if container is None:
                backend = Backend(self._surroundings(revision.service).configuration(revision))
                container = _Container(backend, Listener(backend))
                await container.listener.start()
                self._running[revision.name] = container
            return container.listener.url

    def running(self, service: Service) -> list[str]:
        """The revisions of the service that have an instance."""
        return [name for name in service.revisions if name in self._running]

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


async def _end(container: _Container, grace_seconds: float) -> None:
    try:
        await container.listener.stop(grace_seconds)
    finally:
        await container.backend.close()
