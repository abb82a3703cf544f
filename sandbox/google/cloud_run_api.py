"""The methods of the Cloud Run Admin API v2, message in and message out: the same for REST and for gRPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2

from sandbox.google import cloud_run_v2
from sandbox.google.http import page
from sandbox.platform.errors import InvalidArgument, NotFound, PermissionDenied

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sandbox.platform.changes import Operation
    from sandbox.platform.control_plane import ControlPlane
    from sandbox.platform.model import CloudRunService, Revision

_MAX_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Method:
    """A method: the type of its request, and what answers one."""

    request: type[Message]
    answer: Callable[..., Awaitable[Message]]


class CloudRunApi:
    """The methods over one control plane, by name. All raise ApiError."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self.methods = {
            "ListServices": Method(run_v2.ListServicesRequest.pb(), self.list_services),
            "GetService": Method(run_v2.GetServiceRequest.pb(), self.get_service),
            "UpdateService": Method(run_v2.UpdateServiceRequest.pb(), self.update_service),
            "TestIamPermissions": Method(iam_policy_pb2.TestIamPermissionsRequest, self.test_permissions),
            "ListRevisions": Method(run_v2.ListRevisionsRequest.pb(), self.list_revisions),
            "GetRevision": Method(run_v2.GetRevisionRequest.pb(), self.get_revision),
            "ListOperations": Method(operations_pb2.ListOperationsRequest, self.list_operations),
            "GetOperation": Method(operations_pb2.GetOperationRequest, self.get_operation),
            "WaitOperation": Method(operations_pb2.WaitOperationRequest, self.wait_operation),
        }

    async def list_services(self, request: run_v2.ListServicesRequest) -> Message:
        """One page of the services of the region."""
        self._check_parent(request.parent)
        found, token = page(list(self._control.services.values()), request.page_size, request.page_token)
        services = [cloud_run_v2.service_message(self._control, service) for service in found]
        return run_v2.ListServicesResponse.pb(run_v2.ListServicesResponse(services=services, next_page_token=token))

    async def get_service(self, request: run_v2.GetServiceRequest) -> Message:
        """One service."""
        return run_v2.Service.pb(cloud_run_v2.service_message(self._control, self._service(request.name)))

    async def update_service(self, request: run_v2.UpdateServiceRequest) -> Message:
        """The operation of a write."""
        service = self._service(request.service.name)
        change = cloud_run_v2.change_from(run_v2.Service.wrap(request.service), request.update_mask.paths)
        etag = request.service.etag or None
        operation = await self._control.update(service.name, change, etag, validate_only=request.validate_only)
        return cloud_run_v2.operation_message(self._control, operation)

    async def test_permissions(self, request: iam_policy_pb2.TestIamPermissionsRequest) -> Message:
        """The permissions that the caller has on a service: all that are asked about."""
        self._service(request.resource)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=request.permissions)

    async def list_revisions(self, request: run_v2.ListRevisionsRequest) -> Message:
        """One page of the revisions of a service, or of all for `.../services/-`, newest first."""
        every = request.parent == f"{self._control.parent}/services/-"
        services = list(self._control.services.values()) if every else [self._service(request.parent)]
        found, token = page(newest_revisions(services), request.page_size, request.page_token)
        revisions = [cloud_run_v2.revision_message(self._control, revision) for revision in found]
        return run_v2.ListRevisionsResponse.pb(run_v2.ListRevisionsResponse(revisions=revisions, next_page_token=token))

    async def get_revision(self, request: run_v2.GetRevisionRequest) -> Message:
        """One revision."""
        parent, _, name = request.name.partition("/revisions/")
        revision = self._control.revision(self._service(parent).name, name)
        return run_v2.Revision.pb(cloud_run_v2.revision_message(self._control, revision))

    async def list_operations(self, request: operations_pb2.ListOperationsRequest) -> Message:
        """One page of the operations of the region, oldest first."""
        self._check_parent(request.name)
        found, token = page(list(self._control.operations.values()), request.page_size, request.page_token)
        operations = [cloud_run_v2.operation_message(self._control, operation) for operation in found]
        return operations_pb2.ListOperationsResponse(operations=operations, next_page_token=token)

    async def get_operation(self, request: operations_pb2.GetOperationRequest) -> Message:
        """One operation."""
        return cloud_run_v2.operation_message(self._control, self._operation(request.name))

    async def wait_operation(self, request: operations_pb2.WaitOperationRequest) -> Message:
        """One operation when it has ended, or when the caller's time is up."""
        operation = self._operation(request.name)
        await wait_for(operation, request)
        return cloud_run_v2.operation_message(self._control, operation)

    def _service(self, name: str) -> CloudRunService:
        return self._control.service(self._short(name, "services"))

    def _operation(self, name: str) -> Operation:
        return self._control.operation(self._short(name, "operations"))

    def _short(self, name: str, collection: str) -> str:
        """The last part of `projects/P/locations/R/<collection>/<short>`. Raises ApiError for any other name."""
        parent, separator, short = name.rpartition(f"/{collection}/")
        if not separator or not short or "/" in short:
            raise InvalidArgument(f"'{name}' is not a name of the form projects/*/locations/*/{collection}/*.", "name")
        self._check_parent(parent)
        return short

    def _check_parent(self, parent: str) -> None:
        """Raise PermissionDenied for another project, NotFound for another region."""
        if parent == self._control.parent:
            return
        if not parent.startswith(f"projects/{self._control.project}/"):
            raise PermissionDenied(f"Permission denied on resource '{parent}' (or it may not exist).")
        raise NotFound(f"Location of '{parent}' is not found or access is unauthorized.")


def newest_revisions(services: Iterable[CloudRunService]) -> list[Revision]:
    """Revisions in the order in which Cloud Run lists them: by creation, whether they serve or not."""
    found = [revision for service in services for revision in service.revisions.values()]
    return sorted(found, key=lambda revision: revision.created, reverse=True)


async def wait_for(operation: Operation, request: operations_pb2.WaitOperationRequest) -> None:
    """Return when the operation has ended, or after the request's timeout; a minute when there is none, and at most."""
    asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else _MAX_WAIT_SECONDS
    await operation.wait(min(asked, _MAX_WAIT_SECONDS))
