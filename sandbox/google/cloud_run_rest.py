"""The HTTP side of Cloud Run: the Admin API v2 as JSON, and the v1 API next to it, in one application."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.google import cloud_run_v1, cloud_run_v2
from sandbox.google.http import error_response, exception_handlers, json_object, wait_seconds
from sandbox.platform.errors import (
    ApiError,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sandbox.platform.control_plane import ControlPlane

_REGION = "/v2/projects/{project}/locations/{location}"


_REFUSALS: dict[str, ApiError] = {
    "cloud-run-down": Unavailable("The service is currently unavailable."),
    "cloud-run-401": Unauthenticated("Request had invalid authentication credentials."),
    "cloud-run-403": PermissionDenied("Permission 'run.services.update' denied on the resource."),
    "cloud-run-429": ResourceExhausted("Quota exceeded for 'Write requests' of 'run.googleapis.com'."),
    "cloud-run-500": ApiError("Internal error encountered."),
}


def rest_app(control: ControlPlane, logging: ASGIApp | None = None) -> ASGIApp:
    """The application for one port: v2, v1, and both of them through proxy requests (absolute-form targets).

    `logging` answers for Cloud Logging: gcloud has one proxy for all that it asks.
    """
    service = f"{_REGION}/services/{{service}}"
    operation = f"{_REGION}/operations/{{operation}}"
    api = _Api(control)
    routes = [
        Route(f"{_REGION}/services", api.list_services),
        Route(f"{service}:testIamPermissions", api.test_permissions, methods=["POST"]),
        Route(f"{service}/revisions", api.list_revisions),
        Route(f"{service}/revisions/{{revision}}", api.get_revision),
        Route(service, api.get_service, methods=["GET"]),
        Route(service, api.update_service, methods=["PATCH"]),
        Route(f"{_REGION}/operations", api.list_operations),
        Route(f"{operation}:wait", api.wait_operation, methods=["POST"]),
        Route(operation, api.get_operation),
    ]
    app = Starlette(routes=[*routes, *cloud_run_v1.routes(control)], exception_handlers=exception_handlers())
    return _Front(app, control, logging)


class _Front:
    """What stands before every call: the way in for proxy requests, and the outage."""

    def __init__(self, app: ASGIApp, control: ControlPlane, logging: ASGIApp | None) -> None:
        self._app = app
        self._control = control
        self._logging = logging

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; for a proxy request `scope["path"]` still is a whole URL."""
        if scope["type"] == "http":
            scope = _origin_form(scope)
            if self._logging is not None and scope["path"].startswith("/v2/entries:"):
                await self._logging(scope, receive, send)
                return
            if "cloud-run-hangs" in self._control.faults:
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
            refused = next((error for fault, error in _REFUSALS.items() if fault in self._control.faults), None)
            if refused is not None:
                await error_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _origin_form(scope: Scope) -> Scope:
    path = scope["path"]
    if not path.startswith(("http://", "https://")):
        return scope
    path = "/" + path.split("://", 1)[1].partition("/")[2]
    return {**scope, "path": path, "raw_path": path.encode()}


class _Api:
    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    async def list_services(self, request: Request) -> Response:
        cloud_run_v2.check_parent(self._control, _resource(request, "/services"))
        services, token = cloud_run_v2.page(list(self._control.services.values()), *_paging(request))
        answer = run_v2.ListServicesResponse(
            services=[cloud_run_v2.service_message(self._control, each) for each in services], next_page_token=token
        )
        return _json(request, run_v2.ListServicesResponse.pb(answer))

    async def get_service(self, request: Request) -> Response:
        service = cloud_run_v2.service_of(self._control, _resource(request))
        return _json(request, run_v2.Service.pb(cloud_run_v2.service_message(self._control, service)))

    async def update_service(self, request: Request) -> Response:
        service = cloud_run_v2.service_of(self._control, _resource(request))
        message = run_v2.Service()
        await _parse(request, run_v2.Service.pb(message))
        mask = [_snake(path) for path in request.query_params.get("updateMask", "").split(",") if path]
        operation = await self._control.update(
            service.name,
            cloud_run_v2.change_from(message, mask),
            message.etag or None,
            validate_only=request.query_params.get("validateOnly", "").lower() == "true",
        )
        return _json(request, cloud_run_v2.operation_message(self._control, operation))

    async def test_permissions(self, request: Request) -> Response:
        cloud_run_v2.service_of(self._control, _resource(request, ":testIamPermissions"))
        permissions = (await json_object(request)).get("permissions", [])
        return JSONResponse({"permissions": permissions} if permissions else {})

    async def list_revisions(self, request: Request) -> Response:
        parent = _resource(request, "/revisions")
        found, token = cloud_run_v2.page(cloud_run_v2.revisions_of(self._control, parent), *_paging(request))
        answer = run_v2.ListRevisionsResponse(
            revisions=[cloud_run_v2.revision_message(self._control, *each) for each in found], next_page_token=token
        )
        return _json(request, run_v2.ListRevisionsResponse.pb(answer))

    async def get_revision(self, request: Request) -> Response:
        found = cloud_run_v2.revision_of(self._control, _resource(request))
        return _json(request, run_v2.Revision.pb(cloud_run_v2.revision_message(self._control, *found)))

    async def list_operations(self, request: Request) -> Response:
        cloud_run_v2.check_parent(self._control, _resource(request, "/operations"))
        found, token = cloud_run_v2.page(list(self._control.operations.values()), *_paging(request))
        return _json(
            request,
            operations_pb2.ListOperationsResponse(
                operations=[cloud_run_v2.operation_message(self._control, each) for each in found],
                next_page_token=token,
            ),
        )

    async def get_operation(self, request: Request) -> Response:
        operation = cloud_run_v2.operation_of(self._control, _resource(request))
        return _json(request, cloud_run_v2.operation_message(self._control, operation))

    async def wait_operation(self, request: Request) -> Response:
        operation = cloud_run_v2.operation_of(self._control, _resource(request, ":wait"))
        await operation.wait(await wait_seconds(request))
        return _json(request, cloud_run_v2.operation_message(self._control, operation))


def _resource(request: Request, suffix: str = "") -> str:
    return request.url.path.removeprefix("/v2/").removesuffix(suffix)


def _paging(request: Request) -> tuple[int, str]:
    size = request.query_params.get("pageSize", "0")
    try:
        return int(size), request.query_params.get("pageToken", "")
    except ValueError:
        raise InvalidArgument(f"Invalid value at 'page_size': {size}", "page_size") from None


def _snake(path: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), path)


async def _parse(request: Request, message: Message) -> None:
    """Read the body into `message`; enums may be names or numbers, as the clients send both."""
    try:
        json_format.Parse(await request.body() or b"{}", message)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"Invalid JSON payload received. {error}") from None


def _json(request: Request, message: Message) -> Response:
    """The message as JSON, with enums as the caller asked: `$alt=json;enum-encoding=int` wants numbers."""
    alt = request.query_params.get("$alt", "")
    return JSONResponse(json_format.MessageToDict(message, use_integers_for_enums="enum-encoding=int" in alt))
