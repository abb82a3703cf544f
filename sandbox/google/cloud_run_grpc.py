"""The gRPC side of the Cloud Run Admin API v2: Services, Revisions and google.longrunning.Operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import grpc

from sandbox.google.cloud_run_api import CloudRunApi
from sandbox.platform.errors import ApiError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from google.protobuf.message import Message

    from sandbox.platform.control_plane import ControlPlane

_SERVICES = {
    "google.cloud.run.v2.Services": ("ListServices", "GetService", "UpdateService", "TestIamPermissions"),
    "google.cloud.run.v2.Revisions": ("ListRevisions", "GetRevision"),
    "google.longrunning.Operations": ("ListOperations", "GetOperation", "WaitOperation"),
}
_Request = TypeVar("_Request")


async def start_grpc(control: ControlPlane, *more: grpc.GenericRpcHandler) -> tuple[grpc.aio.Server, int]:
    """Start serving on a free port of 127.0.0.1, without TLS, `more` beside it; returns the server and the port.

    The caller stops it.
    """
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers = {
        name: unary(method.answer, control.faults, "cloud-run-down", method.request.FromString)
        for name, method in CloudRunApi(control).methods.items()
    }
    services = (
        grpc.method_handlers_generic_handler(service, {name: handlers[name] for name in names})
        for service, names in _SERVICES.items()
    )
    server.add_generic_rpc_handlers((*services, *more))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


def unary(
    answer: Callable[[_Request], Awaitable[Message]],
    faults: AbstractSet[str],
    outage: str,
    deserializer: Callable[[bytes], _Request] | None = None,
) -> grpc.RpcMethodHandler:
    """A unary method around `answer`, with ApiErrors as gRPC statuses; UNAVAILABLE while the fault is in force."""

    async def handle(request: _Request, context: grpc.aio.ServicerContext[_Request, Message]) -> Message:
        try:
            if outage in faults:
                raise Unavailable("The service is currently unavailable.")
            return await answer(request)
        except ApiError as error:
            return await context.abort(error.code, error.message)

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=deserializer, response_serializer=lambda message: message.SerializeToString()
    )
