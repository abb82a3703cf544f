"""The unmodified google-cloud-run clients, over REST and over gRPC alike, and the control plane behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import pytest
from google.api_core.future.polling import DEFAULT_POLLING
from google.api_core.operation import Operation
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport

from tests.sandbox.google.control_plane_fixture import (
    DEADLINE_SECONDS,
    NAME,
    RunningControlPlane,
    running_control_plane,
)

LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST

REVISION = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION

ALL_TO_LATEST = run_v2.TrafficTarget(type_=LATEST, percent=100)

State = run_v2.Condition.State

POLLING = DEFAULT_POLLING.with_delay(initial=0.02, maximum=0.1, multiplier=1.5)


@dataclass
class Clients:
    """Both clients over one transport, and the control plane behind them."""

    world: RunningControlPlane
    services: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient

    def get(self) -> run_v2.Service:
        """Read the service once, without the client's retries."""
        return self.services.get_service(name=NAME, retry=None, timeout=DEADLINE_SECONDS)

    def ask(self, traffic: Sequence[run_v2.TrafficTarget], etag: str = "") -> Operation:
        """Send a traffic update."""
        return self.write(run_v2.Service(name=NAME, traffic=traffic, etag=etag), "traffic")

    def write(self, service: run_v2.Service, *mask: str, validate_only: bool = False) -> Operation:
        """Send an update of the parts in `mask`."""
        return self.services.update_service(
            run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, validate_only=validate_only),
            timeout=DEADLINE_SECONDS,
        )

    def done(self, operation: Operation) -> run_v2.Service:
        """Wait for an operation."""
        service: run_v2.Service = operation.result(  # type: ignore[no-untyped-call]
            timeout=DEADLINE_SECONDS, polling=POLLING
        )
        return service

    def move(self, *traffic: run_v2.TrafficTarget) -> run_v2.Service:
        """Update the traffic and wait until it settled."""
        return self.done(self.ask(traffic))


def pin(revision: str, percent: int = 100, tag: str = "") -> run_v2.TrafficTarget:
    return run_v2.TrafficTarget(type_=REVISION, revision=revision, percent=percent, tag=tag)


@contextmanager
def connected(transport: str, operation_seconds: float = 0.1) -> Iterator[Clients]:
    """Clients of a control plane of their own."""
    with running_control_plane(operation_seconds) as world:
        if transport == "rest":
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            options = {"api_endpoint": world.rest}
            yield Clients(
                world,
                run_v2.ServicesClient(transport="rest", credentials=credentials, client_options=options),
                run_v2.RevisionsClient(transport="rest", credentials=credentials, client_options=options),
            )
            return
        with grpc.insecure_channel(f"127.0.0.1:{world.grpc_port}") as channel:
            yield Clients(
                world,
                run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
                run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
            )


@pytest.fixture(params=["rest", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clients(transport: str) -> Iterator[Clients]:
    with connected(transport) as found:
        yield found


@pytest.fixture
def slow_clients(transport: str) -> Iterator[Clients]:
    """As `clients`, with operations that do not end during a test."""
    with connected(transport, operation_seconds=600) as found:
        yield found


def condition(conditions: Sequence[run_v2.Condition], kind: str) -> run_v2.Condition:
    return next(each for each in conditions if each.type_ == kind)
