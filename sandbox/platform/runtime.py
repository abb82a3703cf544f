"""Runs the containers: one real HTTP server for each revision that has something to serve."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.faults import Faults
from sandbox.platform.front_end import NoInstanceError
from sandbox.platform.listener import Listener
from sandbox.platform.log_store import STDERR, STDOUT, SYSTEM
from sandbox.platform.tasks import TaskSet
from sandbox.timing import QUEUED

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from sandbox.platform.log_store import LogStore, Severity
    from sandbox.platform.model import CloudRunService, Revision

DRAIN_SECONDS = 30.0
_MEMORY = (
    "Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit, see "
    "https://cloud.google.com/run/docs/configuring/memory-limits"
)


class Container(Protocol):
    """The ASGI application of one revision, as the code that was deployed makes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

    def start(self) -> None:
        """Do what an application does when its container comes up."""

    async def close(self) -> None:
        """End the connections to whatever it depends on."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A container that runs, and the server in front of it. It is asked nothing before `warm_at` (monotonic)."""

    container: Container
    listener: Listener
    warm_at: float

    async def warm(self) -> None:
        """Return when it can be asked."""
        await asyncio.sleep(self.warm_at - time.monotonic())


@dataclass(frozen=True, slots=True)
class ContainerHost:
    """What a container of `revision`, with `faults`, may ask of what runs it."""

    runtime: RevisionRuntime
    revision: Revision
    faults: Faults

    def write(self, severity: Severity, text: str) -> None:
        """Keep a line that the container wrote: to stdout, from ERROR on to stderr."""
        self.runtime.log(STDERR if severity == "ERROR" else STDOUT, self.revision, severity, text)

    def out_of_memory(self) -> None:
        """Kill the container, which has taken more than its share."""
        self.runtime.kill(self.revision)


class RevisionRuntime:
    """Starts and stops revisions; `build` makes the container of one.

    What containers write, and what becomes of them, goes to `logs`. `cold_start` answers how many seconds longer than
    here a container takes to start.
    """

    def __init__(
        self, build: Callable[[ContainerHost], Container], logs: LogStore, cold_start: Callable[[], float]
    ) -> None:
        self._build = build
        self._logs = logs
        self._cold_start = cold_start
        self._faults: dict[str, Faults] = {}  # of the revisions that serve, whichever container does it
        self._running: dict[str, Instance] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._draining = TaskSet()

    async def start(self, revision: Revision) -> bool:
        """Have the revision's server come up unless it is; False for a revision whose container failed to start.

        One that is being deployed is up on return; any other may keep its first requests waiting.
        """
        instance = await self._instance(revision)
        if instance is not None and not revision.ready:
            await instance.warm()
        return instance is not None

    async def stop(self, revision: Revision) -> None:
        """Take the revision's server out of service at once; running requests finish in the background."""
        self._faults.pop(revision.name, None)
        instance = self._running.pop(revision.name, None)
        if instance is not None:
            self.log(SYSTEM, revision, "INFO", "Container terminated: it receives no traffic any more.")
            self._draining.start(_end(instance, DRAIN_SECONDS))

    def kill(self, revision: Revision) -> None:
        """End the revision's container where it stands, as for too much memory; the next request starts another."""
        instance = self._running.pop(revision.name, None)
        if instance is not None:
            self.log(SYSTEM, revision, "ERROR", _MEMORY)
            self.log(SYSTEM, revision, "WARNING", "Container terminated on signal 9.")
            self._draining.start(_end(instance, 0))

    async def origin(self, revision: Revision) -> str | None:
        """The base URL of the revision's server, which is started if it is not up; None when it cannot start.

        Raises NoInstanceError when there is none to be had (the fault no-available-instance).
        """
        instance = await self._instance(revision)
        if instance is None:
            return None
        if self.has(revision.name, "no-available-instance"):
            await asyncio.sleep(QUEUED)
            raise NoInstanceError
        await instance.warm()
        return instance.listener.url

    async def _instance(self, revision: Revision) -> Instance | None:
        if revision.failure or "deploy-red" in revision.faults:
            return None
        async with self._locks[revision.name]:
            instance = self._running.get(revision.name)
            if instance is None:
                faults = self._faults.setdefault(revision.name, Faults(revision.faults, begun=False))
                self.log(SYSTEM, revision, "INFO", "Starting new instance. Reason: there is none for its traffic.")
                container = self._build(ContainerHost(self, revision, faults))
                instance = Instance(container, Listener(container), time.monotonic() + self._cold_start())
                await instance.listener.start()
                container.start()
                self._running[revision.name] = instance
            return instance

    def running(self, service: CloudRunService) -> list[str]:
        """The revisions of the service that have an instance."""
        return [name for name in service.revisions if name in self._running]

    def has(self, revision: str | None, fault: str) -> bool:
        """Whether a revision that serves suffers from a fault now."""
        return revision in self._faults and fault in self._faults[revision]

    def log(self, log: str, revision: Revision, severity: Severity, text: str) -> None:
        """Write a line about a revision's container."""
        self._logs.write(log, revision.service, revision.name, severity, text)

    def scale(self, service: CloudRunService) -> None:
        """Stop what no longer receives traffic, as an autoscaler does; a request, through a tag say, starts it anew."""
        shares = service.shares()
        for revision in service.revisions.values():
            if revision.name in self._running and revision.name not in shares:
                self._draining.start(self.stop(revision))

    async def close(self) -> None:
        """End everything, running requests included."""
        running, self._running = list(self._running.values()), {}
        await self._draining.cancel()
        await asyncio.gather(*(_end(instance, 0) for instance in running), return_exceptions=True)


async def _end(instance: Instance, grace_seconds: float) -> None:
    try:
        await instance.listener.stop(grace_seconds)
    finally:
        await instance.container.close()
