"""The gRPC side of the Cloud Run Admin API v2: Services, Revisions and google.longrunning.Operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2

from sandbox.google import cloud_run_v2
from sandbox.platform.errors import ApiError, Unavailable

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sandbox.platform.control_plane import ControlPlane

_MAX_WAIT_SECONDS = 60.0
_Request = TypeVar("_Request", bound="Message")
_Codes = {code.value[0]: code for code in grpc.StatusCode}


async def start_grpc(control: ControlPlane, *more: grpc.GenericRpcHandler) -> tuple[grpc.aio.Server, int]:
    """Start serving on a free port of 127.0.0.1, without TLS, `more` beside it; returns the server and the port.

    The caller stops it.
    """
    api = _Api(control)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "google.cloud.run.v2.Services",
                {
                    "GetService": api.method(api.get_service, run_v2.GetServiceRequest.pb()),
                    "ListServices": api.method(api.list_services, run_v2.ListServicesRequest.pb()),
                    "UpdateService": api.method(api.update_service, run_v2.UpdateServiceRequest.pb()),
                    "TestIamPermissions": api.method(api.test_permissions, iam_policy_pb2.TestIamPermissionsRequest),
                },
            ),
            grpc.method_handlers_generic_handler(
                "google.cloud.run.v2.Revisions",
                {
                    "GetRevision": api.method(api.get_revision, run_v2.GetRevisionRequest.pb()),
                    "ListRevisions": api.method(api.list_revisions, run_v2.ListRevisionsRequest.pb()),
                },
            ),
            grpc.method_handlers_generic_handler(
                "google.longrunning.Operations",
                {
                    "GetOperation": api.method(api.get_operation, operations_pb2.GetOperationRequest),
                    "WaitOperation": api.method(api.wait_operation, operations_pb2.WaitOperationRequest),
                    "ListOperations": api.method(api.list_operations, operations_pb2.ListOperationsRequest),
                },
            ),
            *more,
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


class _Api:
    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    def method(
        self, answer: Callable[[_Request], Awaitable[Message]], request_type: type[_Request]
    ) -> grpc.RpcMethodHandler:
        """A unary method around `answer`, with our errors as gRPC statuses."""

        async def handle(request: _Request, context: grpc.aio.ServicerContext[_Request, Message]) -> Message:
            try:
                if "cloud-run-down" in self._control.faults:
                    raise Unavailable("The service is currently unavailable.")
                return await answer(request)
            except ApiError as error:
                return await context.abort(_Codes[error.code], error.message)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    async def get_service(self, request: Message) -> Message:
        wanted = run_v2.GetServiceRequest.wrap(request)
        service = cloud_run_v2.service_of(self._control, wanted.name)
        return run_v2.Service.pb(cloud_run_v2.service_message(self._control, service))

    async def list_services(self, request: Message) -> Message:
        wanted = run_v2.ListServicesRequest.wrap(request)
        cloud_run_v2.check_parent(self._control, wanted.parent)
        found, token = cloud_run_v2.page(list(self._control.services.values()), wanted.page_size, wanted.page_token)
        return run_v2.ListServicesResponse.pb(
            run_v2.ListServicesResponse(
                services=[cloud_run_v2.service_message(self._control, each) for each in found], next_page_token=token
            )
        )

    async def update_service(self, request: Message) -> Message:
        wanted = run_v2.UpdateServiceRequest.wrap(request)
        service = cloud_run_v2.service_of(self._control, wanted.service.name)
        change = cloud_run_v2.change_from(wanted.service, wanted.update_mask.paths)
        operation = await self._control.update(
            service.name, change, wanted.service.etag or None, validate_only=wanted.validate_only
        )
        return cloud_run_v2.operation_message(self._control, operation)

    async def test_permissions(self, request: iam_policy_pb2.TestIamPermissionsRequest) -> Message:
        cloud_run_v2.service_of(self._control, request.resource)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=request.permissions)

    async def get_revision(self, request: Message) -> Message:
        wanted = run_v2.GetRevisionRequest.wrap(request)
        found = cloud_run_v2.revision_of(self._control, wanted.name)
        return run_v2.Revision.pb(cloud_run_v2.revision_message(self._control, *found))

    async def list_revisions(self, request: Message) -> Message:
        wanted = run_v2.ListRevisionsRequest.wrap(request)
        found, token = cloud_run_v2.page(
            cloud_run_v2.revisions_of(self._control, wanted.parent), wanted.page_size, wanted.page_token
        )
        return run_v2.ListRevisionsResponse.pb(
            run_v2.ListRevisionsResponse(
                revisions=[cloud_run_v2.revision_message(self._control, *each) for each in found], next_page_token=token
            )
        )

    async def get_operation(self, request: operations_pb2.GetOperationRequest) -> Message:
        return cloud_run_v2.operation_message(self._control, cloud_run_v2.operation_of(self._control, request.name))

    async def wait_operation(self, request: operations_pb2.WaitOperationRequest) -> Message:
        operation = cloud_run_v2.operation_of(self._control, request.name)
        asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else _MAX_WAIT_SECONDS
        await operation.wait(min(asked, _MAX_WAIT_SECONDS))
        return cloud_run_v2.operation_message(self._control, operation)

    async def list_operations(self, request: operations_pb2.ListOperationsRequest) -> Message:
        cloud_run_v2.check_parent(self._control, request.name)
        found, token = cloud_run_v2.page(list(self._control.operations.values()), request.page_size, request.page_token)
        return operations_pb2.ListOperationsResponse(
            operations=[cloud_run_v2.operation_message(self._control, each) for each in found], next_page_token=token
        )
