"""What an unmodified gcloud asks: the variables that lead it to the sandbox, and the Cloud Run API v1."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.google.cloud_run_api import newest_revisions, wait_for
from sandbox.google.cloud_run_v1 import (
    SERVICE_LABEL,
    ReplaceServiceRequest,
    list_object,
    operation_object,
    revision_object,
    service_object,
)
from sandbox.google.http import page, parse_json, read_body, validate
from sandbox.platform.errors import InvalidArgument, NotFound, PermissionDenied

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.platform.control_plane import ControlPlane


def gcloud_environment(proxy_host: str, proxy_port: int, project: str, region: str) -> dict[str, str]:
    """The variables that make an unmodified gcloud talk to the sandbox alone.

    gcloud puts the region before an overridden host, so the hosts are invented ones that only the proxy, which is
    the sandbox, can answer for. The caller adds `CLOUDSDK_CONFIG`, a folder of its own.
    """
    overrides = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.sandbox.invalid/"
        for api in ("run", "logging", "serviceusage")
    }
    return overrides | {
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": proxy_host,
        "CLOUDSDK_PROXY_PORT": str(proxy_port),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_RUN_REGION": region,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    }


class CloudRunV1Api:
    """The methods over one control plane."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    def routes(self) -> list[Route]:
        """By namespace, as one region answers them, and by location, as all regions do."""
        found: list[Route] = []
        located = "/v1/projects/{project}/locations/{location}"
        for parent in ("/apis/serving.knative.dev/v1/namespaces/{project}", located):
            found += [
                self._route("GET", f"{parent}/services", self._list_services),
                self._route("GET", f"{parent}/services/{{service}}", self._get_service),
                self._route("PUT", f"{parent}/services/{{service}}", self._replace_service),
                self._route("GET", f"{parent}/revisions", self._list_revisions),
                self._route("GET", f"{parent}/revisions/{{revision}}", self._get_revision),
            ]
        return [
            *found,
            self._route("POST", f"{located}/operations/{{operation}}:wait", self._wait_operation),
            self._route("GET", f"{located}/operations/{{operation}}", self._get_operation),
        ]

    def _route(self, verb: str, path: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            project, location = request.path_params["project"], request.path_params.get("location", "-")
            if project != self._control.project:
                raise PermissionDenied(f"Permission denied on resource project '{project}' (or it may not exist).")
            if location not in ("-", self._control.region):
                raise NotFound(f"Location '{location}' is not found or access is unauthorized.")
            return await answer(request)

        return Route(path, endpoint, methods=[verb])

    async def _list_services(self, request: Request) -> Response:
        services, rest = page(list(self._control.services.values()), *_paging(request))
        return list_object("ServiceList", [service_object(self._control, service) for service in services], rest)

    async def _get_service(self, request: Request) -> Response:
        return JSONResponse(service_object(self._control, self._control.service(request.path_params["service"])))

    async def _replace_service(self, request: Request) -> Response:
        service = self._control.service(request.path_params["service"])
        asked = validate(await read_body(request), ReplaceServiceRequest)
        await self._control.update(service.name, asked.change(), f'"{asked.version}"' if asked.version else None)
        return JSONResponse(service_object(self._control, service))

    async def _list_revisions(self, request: Request) -> Response:
        wanted = _selected_service(request.query_params.get("labelSelector", ""))
        services = [service for service in self._control.services.values() if wanted in ("", service.name)]
        revisions, rest = page(newest_revisions(services), *_paging(request))
        return list_object("RevisionList", [revision_object(self._control, revision) for revision in revisions], rest)

    async def _get_revision(self, request: Request) -> Response:
        name = request.path_params["revision"]
        for service in self._control.services.values():
            if name in service.revisions:
                return JSONResponse(revision_object(self._control, service.revisions[name]))
        raise NotFound(f"Revision '{name}' could not be found.")

    async def _get_operation(self, request: Request) -> Response:
        operation = self._control.operation(request.path_params["operation"])
        return JSONResponse(operation_object(self._control, operation))

    async def _wait_operation(self, request: Request) -> Response:
        wanted = operations_pb2.WaitOperationRequest()
        parse_json(await read_body(request), wanted)
        await wait_for(self._control.operation(request.path_params["operation"]), wanted)
        return await self._get_operation(request)


def _paging(request: Request) -> tuple[int, str]:
    size = request.query_params.get("limit", "0")
    if not size.isdecimal():
        raise InvalidArgument(f"Invalid value at 'limit': {size}", "limit")
    return int(size), request.query_params.get("continue", "")


def _selected_service(selector: str) -> str:
    found = re.fullmatch(rf"{re.escape(SERVICE_LABEL)}\s*==?\s*(\S+)", selector.strip())
    if selector and not found:
        raise InvalidArgument(f"Only a selector on {SERVICE_LABEL} is kept; got '{selector}'.", "labelSelector")
    return found[1] if found else ""
