"""A control plane of its own on loopback, with revisions that need no container: for the Cloud Run API's tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import grpc.aio

from sandbox.google.cloud_run_grpc import start_grpc
from sandbox.google.cloud_run_rest import rest_app
from sandbox.platform.control_plane import ControlPlane
from sandbox.platform.listener import Listener
from sandbox.platform.model import CloudRunService, Revision
from sandbox.platform.seed_revisions import add_past

PROJECT, REGION, SERVICE = "sandbox-project", "us-east1", "bayit-plus-backend"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
NAME = f"{PARENT}/services/{SERVICE}"
RETIRED, SERVING, BROKEN = f"{SERVICE}-00001-abc", f"{SERVICE}-00002-def", f"{SERVICE}-00003-ghi"
DEADLINE_SECONDS = 20.0
_Result = TypeVar("_Result")


@dataclass
class TrivialRuntime:
    """Starts nothing; refuses the revisions that carry the fault `does-not-start`."""

    started: list[str] = field(default_factory=list)

    async def start(self, revision: Revision) -> bool:
        """Note the start."""
        self.started.append(revision.name)
        return "does-not-start" not in revision.faults


@dataclass
class RunningControlPlane:
    """A control plane that serves on its own thread."""

    control: ControlPlane
    runtime: TrivialRuntime
    loop: asyncio.AbstractEventLoop
    rest: str  # the base address of the HTTP side
    grpc_port: int

    @property
    def rest_port(self) -> int:
        """The port of the HTTP side, which is the proxy as well."""
        return int(self.rest.rpartition(":")[2])

    @property
    def service(self) -> CloudRunService:
        """The service under test, as the control plane has it."""
        return self.control.services[SERVICE]

    def run(self, work: Coroutine[object, object, _Result]) -> _Result:
        """Run `work` on the control plane's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_SECONDS)

    def deploy(self, *faults: str, commit: str = "f" * 40) -> str:
        """Deploy a revision, wait until it settled, and return its name."""
        return self.run(self.control.deploy(SERVICE, faults=frozenset(faults), commit=commit)).current


def seed(control: ControlPlane, name: str = SERVICE) -> CloudRunService:
    """A service with the history that the sandbox starts with: one retired, one serving, one that never started."""
    now = datetime.now(UTC)
    service = control.services[name] = CloudRunService(name, "production", "http://127.0.0.1:1")
    for number, suffix, age, ready in ((1, "abc", 9, True), (2, "def", 3, True), (3, "ghi", 1, False)):
        add_past(
            service,
            Revision(
                name=f"{name}-{number:05}-{suffix}",
                service=name,
                created=now - timedelta(days=age),
                image=f"us-docker.pkg.dev/{PROJECT}/bayit/backend@sha256:{str(number) * 64}",
                commit=str(number) * 40,
                ready=ready,
                failure="" if ready else "The container did not start.",
                retired=now - timedelta(days=3) if number == 1 else None,
            ),
            serving=number == 2,
        )
    return service


@contextmanager
def running_control_plane(operation_seconds: float = 0.1) -> Iterator[RunningControlPlane]:
    """A seeded control plane on free ports of 127.0.0.1; everything is gone on leaving."""
    runtime = TrivialRuntime()
    control = ControlPlane(runtime.start, PROJECT, REGION, operation_seconds)
    seed(control)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="control plane")
    thread.start()
    listener = Listener(rest_app(control))
    rpc: grpc.aio.Server | None = None
    try:
        asyncio.run_coroutine_threadsafe(listener.start(), loop).result(DEADLINE_SECONDS)
        rpc, grpc_port = asyncio.run_coroutine_threadsafe(start_grpc(control), loop).result(DEADLINE_SECONDS)
        yield RunningControlPlane(control, runtime, loop, listener.url, grpc_port)
    finally:
        asyncio.run_coroutine_threadsafe(_stop(listener, rpc, control), loop).result(DEADLINE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_SECONDS)
        loop.close()


async def _stop(listener: Listener, rpc: grpc.aio.Server | None, control: ControlPlane) -> None:
    await listener.stop()
    if rpc is not None:
        await rpc.stop(None)
    await control.close()
