"""The HTTP side of Cloud Run: the Admin API v2 as JSON, and the v1 API next to it, in one application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.google.cloud_run_api import CloudRunApi, Method
from sandbox.google.gcloud import CloudRunV1Api
from sandbox.google.http import error_response, exception_handlers, parse_json, read_body
from sandbox.platform.errors import (
    ApiError,
    Internal,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sandbox.platform.control_plane import ControlPlane

_REGION = "/v2/projects/{project}/locations/{location}"
_SERVICE, _OPERATION = f"{_REGION}/services/{{service}}", f"{_REGION}/operations/{{operation}}"
# As the google.api.http annotations bind the methods. The resource's name, which is the path without what follows its
# last variable, fills the field of what the HTTP body fills: the request, or for PATCH the service in it.
_BINDINGS = {
    "TestIamPermissions": ("POST", f"{_SERVICE}:testIamPermissions", "resource"),
    "WaitOperation": ("POST", f"{_OPERATION}:wait", "name"),
    "ListServices": ("GET", f"{_REGION}/services", "parent"),
    "GetService": ("GET", _SERVICE, "name"),
    "UpdateService": ("PATCH", _SERVICE, "name"),
    "ListRevisions": ("GET", f"{_SERVICE}/revisions", "parent"),
    "GetRevision": ("GET", f"{_SERVICE}/revisions/{{revision}}", "name"),
    "ListOperations": ("GET", f"{_REGION}/operations", "name"),
    "GetOperation": ("GET", _OPERATION, "name"),
}
_BOOLEANS: dict[str, str | bool] = {"true": True, "false": False}  # in a query; JSON has values of their own
_REFUSALS: dict[str, ApiError] = {
    "cloud-run-down": Unavailable("The service is currently unavailable."),
    "cloud-run-401": Unauthenticated("Request had invalid authentication credentials."),
    "cloud-run-403": PermissionDenied("Permission 'run.services.update' denied on the resource."),
    "cloud-run-429": ResourceExhausted("Quota exceeded for 'Write requests' of 'run.googleapis.com'."),
    "cloud-run-500": Internal("Internal error encountered."),
}


def rest_app(control: ControlPlane, logging: ASGIApp | None = None) -> ASGIApp:
    """The application for one port: v2, v1, and both of them through proxy requests (absolute-form targets).

    `logging` answers for Cloud Logging: gcloud has one proxy for all that it asks.
    """
    methods = CloudRunApi(control).methods
    bound = [_route(methods[name], *binding) for name, binding in _BINDINGS.items()]
    app = Starlette(routes=[*bound, *CloudRunV1Api(control).routes()], exception_handlers=exception_handlers())
    return _Front(app, control, logging)


class _Front:
    """ASGI middleware: requests as a proxy gets them, Cloud Logging's calls, and the faults of the API."""

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


def _route(method: Method, verb: str, path: str, field: str) -> Route:
    suffix = path.rpartition("}")[2]

    async def endpoint(request: Request) -> Response:
        message = method.request()
        query = {name: _BOOLEANS.get(value, value) for name, value in request.query_params.items()}
        parse_json(query, message, ignore_unknown_fields=True)
        filled = message.service if verb == "PATCH" else message
        parse_json(await read_body(request), filled)
        setattr(filled, field, request.url.path.removeprefix("/v2/").removesuffix(suffix))
        answer = await method.answer(message)
        # Enums as the caller asks for them: `$alt=json;enum-encoding=int` wants numbers.
        as_numbers = "enum-encoding=int" in request.query_params.get("$alt", "")
        return JSONResponse(json_format.MessageToDict(answer, use_integers_for_enums=as_numbers))

    return Route(path, endpoint, methods=[verb])
