"""The Cloud Run API v1 (the Knative dialect), which is what gcloud speaks, rendered from the same state."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.google import conditions
from sandbox.google.cloud_run_api import newest_revisions, wait_for
from sandbox.google.cloud_run_v2 import COMMIT_LABEL, own, revision_uid
from sandbox.google.conditions import Condition, State
from sandbox.google.http import json_object, page, parse_json
from sandbox.platform.changes import Change, Operation, Template
from sandbox.platform.errors import InvalidArgument, NotFound, PermissionDenied
from sandbox.platform.model import USUAL, Resources, Revision, Service, Traffic
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from sandbox.platform.control_plane import ControlPlane

_KNATIVE = "serving.knative.dev/v1"
_STATUSES = {State.RECONCILING: "Unknown", State.FAILED: "False", State.SUCCEEDED: "True"}
_MIN_SCALE, _MAX_SCALE = "autoscaling.knative.dev/minScale", "autoscaling.knative.dev/maxScale"
_SERVICE_LABEL = "serving.knative.dev/service"


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


def routes(control: ControlPlane) -> list[BaseRoute]:
    """The routes of v1: by namespace, as one region answers them, and by location, as all regions do."""
    api = _Api(control)
    found: list[BaseRoute] = []
    for parent in ("/apis/serving.knative.dev/v1/namespaces/{project}", "/v1/projects/{project}/locations/{location}"):
        found += [
            Route(f"{parent}/services", api.list_services, methods=["GET"]),
            Route(f"{parent}/services/{{service}}", api.get_service, methods=["GET"]),
            Route(f"{parent}/services/{{service}}", api.replace_service, methods=["PUT"]),
            Route(f"{parent}/revisions", api.list_revisions, methods=["GET"]),
            Route(f"{parent}/revisions/{{revision}}", api.get_revision, methods=["GET"]),
        ]
    operation = "/v1/projects/{project}/locations/{location}/operations/{operation}"
    return [
        *found,
        Route(f"{operation}:wait", api.wait_operation, methods=["POST"]),
        Route(operation, api.get_operation, methods=["GET"]),
    ]


class _Api:
    def __init__(self, control: ControlPlane) -> None:
        self._control = control

    async def list_services(self, request: Request) -> Response:
        self._check(request)
        items, rest = page(list(self._control.services.values()), *_paging(request))
        return _list("ServiceList", [service_object(self._control, each) for each in items], rest)

    async def get_service(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse(service_object(self._control, self._control.service(request.path_params["service"])))

    async def replace_service(self, request: Request) -> Response:
        self._check(request)
        service = self._control.service(request.path_params["service"])
        body = await json_object(request)
        version = _text(_part(body, "metadata"), "resourceVersion")
        await self._control.update(service.name, _change_from(body), f'"{version}"' if version else None)
        return JSONResponse(service_object(self._control, service))

    async def list_revisions(self, request: Request) -> Response:
        self._check(request)
        wanted = _selected_service(request.query_params.get("labelSelector", ""))
        services = [each for each in self._control.services.values() if wanted in ("", each.name)]
        items, rest = page(newest_revisions(services), *_paging(request))
        return _list("RevisionList", [revision_object(self._control, each) for each in items], rest)

    async def get_revision(self, request: Request) -> Response:
        self._check(request)
        name = request.path_params["revision"]
        for service in self._control.services.values():
            if name in service.revisions:
                return JSONResponse(revision_object(self._control, service.revisions[name]))
        raise NotFound(f"Revision '{name}' could not be found.")

    async def get_operation(self, request: Request) -> Response:
        self._check(request)
        operation = self._control.operation(request.path_params["operation"])
        return JSONResponse(_operation_object(self._control, operation))

    async def wait_operation(self, request: Request) -> Response:
        self._check(request)
        operation = self._control.operation(request.path_params["operation"])
        wanted = operations_pb2.WaitOperationRequest()
        parse_json(await json_object(request), wanted)
        await wait_for(operation, wanted)
        return JSONResponse(_operation_object(self._control, operation))

    def _check(self, request: Request) -> None:
        project, location = request.path_params["project"], request.path_params.get("location", "-")
        if project != self._control.project:
            raise PermissionDenied(f"Permission denied on resource project '{project}' (or it may not exist).")
        if location not in ("-", self._control.region):
            raise NotFound(f"Location '{location}' is not found or access is unauthorized.")


def service_object(control: ControlPlane, service: Service) -> dict[str, Json]:
    """The service as `namespaces.services.get` answers it."""
    latest = service.revisions.get(service.latest_created)
    status: dict[str, Json] = {
        "observedGeneration": service.observed_generation,
        "conditions": [_condition_object(each) for each in conditions.of_service(service)],
        "latestCreatedRevisionName": service.latest_created,
        "latestReadyRevisionName": service.latest_ready,
        "traffic": _traffic_statuses(control, service),
        "url": service.url,
        "address": {"url": service.url},
    }
    return {
        "apiVersion": _KNATIVE,
        "kind": "Service",
        "metadata": _service_metadata(control, service),
        "spec": {
            "template": _template_object(latest) if latest else {},
            "traffic": [_target_object(line) for line in service.traffic],
        },
        "status": status,
    }


def revision_object(control: ControlPlane, revision: Revision) -> dict[str, Json]:
    """The revision as `namespaces.revisions.get` answers it."""
    template = _template_object(revision)
    labels = {
        _SERVICE_LABEL: revision.service,
        "serving.knative.dev/configuration": revision.service,
        "cloud.googleapis.com/location": control.region,
        COMMIT_LABEL: revision.commit,
    }
    return {
        "apiVersion": _KNATIVE,
        "kind": "Revision",
        "metadata": {
            "name": revision.name,
            "namespace": control.project,
            "uid": revision_uid(revision),
            "generation": 1,
            "resourceVersion": revision_uid(revision),
            "creationTimestamp": _time(revision.created),
            "labels": {key: value for key, value in labels.items() if value},
            "annotations": {
                "serving.knative.dev/creator": "deploy@sandbox.invalid",
                **_scaling(revision.resources),
            },
        },
        "spec": template["spec"],
        "status": {
            "observedGeneration": 1,
            "imageDigest": revision.image,
            "serviceName": revision.service,
            "conditions": [_condition_object(each) for each in conditions.of_revision(revision)],
        },
    }


def _service_metadata(control: ControlPlane, service: Service) -> dict[str, Json]:
    annotations = service.annotations | {
        "serving.knative.dev/creator": "deploy@sandbox.invalid",
        "serving.knative.dev/lastModifier": "deploy@sandbox.invalid",
        "run.googleapis.com/ingress": "all",
        "run.googleapis.com/ingress-status": "all",
    }
    if operation := service.last_operation:
        annotations["run.googleapis.com/operation-id"] = operation
    return {
        "name": service.name,
        "namespace": control.project,
        "uid": service.uid,
        "generation": service.generation,
        "resourceVersion": service.etag.strip('"'),
        "creationTimestamp": _time(service.created),
        "labels": service.labels | {"cloud.googleapis.com/location": control.region},
        "annotations": annotations,
    }


def _template_object(revision: Revision) -> dict[str, Json]:
    return {
        "metadata": {
            "labels": {COMMIT_LABEL: revision.commit} if revision.commit else {},
            "annotations": _scaling(revision.resources),
        },
        "spec": {
            "containerConcurrency": 80,
            "timeoutSeconds": 300,
            "serviceAccountName": "backend@sandbox.invalid",
            "containers": [
                {
                    "image": revision.image,
                    "ports": [{"containerPort": 8080}],
                    "resources": {"limits": {"cpu": revision.resources.cpu, "memory": revision.resources.memory}},
                }
            ],
        },
    }


def _target_object(line: Traffic) -> dict[str, Json]:
    target: dict[str, Json] = {"percent": line.percent}
    if line.revision is None:
        target["latestRevision"] = True
    else:
        target["revisionName"] = line.revision
    if line.tag:
        target["tag"] = line.tag
    return target


def _traffic_statuses(control: ControlPlane, service: Service) -> list[Json]:
    """What flows; unlike v2, a line that follows the latest also names the revision it reaches."""
    found: list[Json] = []
    for target, line in zip(service.targets, service.serving, strict=True):
        status = _target_object(target) | {"revisionName": line.revision}
        if url := control.tag_urls.get((service.name, target.tag)):
            status["url"] = url
        found.append(status)
    return found


def _condition_object(condition: Condition) -> dict[str, Json]:
    found: dict[str, Json] = {
        "type": condition.type,
        "status": _STATUSES[condition.state],
        "lastTransitionTime": _time(condition.since),
    }
    if reason := condition.reason or condition.revision_reason:
        found["reason"] = "".join(word.capitalize() for word in reason.split("_"))
    if condition.message:
        found["message"] = condition.message
    if condition.info:
        found["severity"] = "Info"
    return found


def _operation_object(control: ControlPlane, operation: Operation) -> dict[str, Json]:
    found: dict[str, Json] = {"name": f"{control.parent}/operations/{operation.id}", "done": operation.done}
    if operation.error is not None:
        found["error"] = {"code": operation.error.code, "message": operation.error.message}
    elif operation.done:
        found["response"] = {
            "@type": "type.googleapis.com/google.cloud.run.v1.Service",
            **service_object(control, control.service(operation.service)),
        }
    return found


def _list(kind: str, items: list[dict[str, Json]], following: str) -> Response:
    return JSONResponse(
        {"apiVersion": _KNATIVE, "kind": kind, "items": items, "metadata": {"continue": following} if following else {}}
    )


def _change_from(body: dict[str, Json]) -> Change:
    """What a PUT of the whole service asks for. Raises InvalidArgument."""
    metadata, spec = _part(body, "metadata"), _part(body, "spec")
    template = _part(spec, "template")
    containers = _part(template, "spec").get("containers")
    if not isinstance(containers, list) or len(containers) != 1 or not isinstance(containers[0], dict):
        raise InvalidArgument("spec.template.spec.containers must hold one container.", "spec.template.spec.containers")
    traffic = spec.get("traffic")
    return Change(
        traffic=[_target_from(line) for line in traffic] if isinstance(traffic, list) else [],
        labels=own(_texts(metadata, "labels")),
        annotations=own(_texts(metadata, "annotations")),
        template=Template(
            image=_text(containers[0], "image"),
            revision=_text(_part(template, "metadata"), "name"),
            commit=_texts(_part(template, "metadata"), "labels").get(COMMIT_LABEL, ""),
            resources=_resources(template, containers[0]),
        ),
    )


def _scaling(resources: Resources) -> dict[str, Json]:
    return {_MIN_SCALE: str(resources.min_instances), _MAX_SCALE: str(resources.max_instances)}


def _resources(template: dict[str, Json], container: dict[str, Json]) -> Resources:
    """What a template says of them; what it leaves out is as usual. Raises InvalidArgument."""
    limits = _texts(_part(container, "resources"), "limits")
    annotations, usual = _texts(_part(template, "metadata"), "annotations"), USUAL
    least, most = annotations.get(_MIN_SCALE, "0"), annotations.get(_MAX_SCALE, str(usual.max_instances))
    if not (least.isdecimal() and most.isdecimal()):
        raise InvalidArgument(f"{_MIN_SCALE} and {_MAX_SCALE} must be whole numbers.", "spec.template.metadata")
    return Resources(limits.get("cpu", usual.cpu), limits.get("memory", usual.memory), int(least), int(most))


def _target_from(line: Json) -> Traffic:
    if not isinstance(line, dict):
        raise InvalidArgument("spec.traffic must hold objects.", "spec.traffic")
    percent, revision = line.get("percent", 0), _text(line, "revisionName")
    if not isinstance(percent, int):
        raise InvalidArgument("spec.traffic.percent must be an integer.", "spec.traffic.percent")
    if bool(line.get("latestRevision")) == bool(revision):
        raise InvalidArgument("A traffic target names a revision or follows the latest one, not both.", "spec.traffic")
    return Traffic(revision or None, percent, _text(line, "tag"))


def _part(body: dict[str, Json], key: str) -> dict[str, Json]:
    value = body.get(key, {})
    if not isinstance(value, dict):
        raise InvalidArgument(f"'{key}' must be an object.", key)
    return value


def _text(body: dict[str, Json], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str):
        raise InvalidArgument(f"'{key}' must be a string.", key)
    return value


def _texts(body: dict[str, Json], key: str) -> dict[str, str]:
    return {name: str(value) for name, value in _part(body, key).items()}


def _paging(request: Request) -> tuple[int, str]:
    size = request.query_params.get("limit", "0")
    if not size.isdecimal():
        raise InvalidArgument(f"Invalid value at 'limit': {size}", "limit")
    return int(size), request.query_params.get("continue", "")


def _selected_service(selector: str) -> str:
    found = re.fullmatch(rf"{re.escape(_SERVICE_LABEL)}\s*==?\s*(\S+)", selector.strip())
    if selector and not found:
        raise InvalidArgument(f"Only a selector on {_SERVICE_LABEL} is kept; got '{selector}'.", "labelSelector")
    return found[1] if found else ""


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
