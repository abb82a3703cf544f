"""The control plane's state as objects of the Cloud Run API v1 (the Knative dialect), which is what gcloud speaks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.google import conditions
from sandbox.google.cloud_run_v2 import COMMIT_LABEL, own, revision_uid
from sandbox.google.conditions import Condition, ConditionState
from sandbox.platform.changes import Change, Operation, Template
from sandbox.platform.errors import InvalidArgument
from sandbox.platform.model import USUAL, CloudRunService, ContainerResources, Revision, TrafficTarget
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from sandbox.platform.control_plane import ControlPlane

_DEPLOYER = "deploy@sandbox.invalid"
_KNATIVE = "serving.knative.dev/v1"
_STATUSES = {ConditionState.RECONCILING: "Unknown", ConditionState.FAILED: "False", ConditionState.SUCCEEDED: "True"}
_MIN_SCALE, _MAX_SCALE = "autoscaling.knative.dev/minScale", "autoscaling.knative.dev/maxScale"
SERVICE_LABEL = "serving.knative.dev/service"


def service_object(control: ControlPlane, service: CloudRunService) -> dict[str, Json]:
    """The service as `namespaces.services.get` answers it."""
    latest = service.revisions.get(service.latest_created)
    status: dict[str, Json] = {
        "observedGeneration": service.observed_generation,
        "conditions": [_condition_object(condition) for condition in conditions.of_service(service)],
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
        SERVICE_LABEL: revision.service,
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
            "annotations": {"serving.knative.dev/creator": _DEPLOYER, **_scaling(revision.resources)},
        },
        "spec": template["spec"],
        "status": {
            "observedGeneration": 1,
            "imageDigest": revision.image,
            "serviceName": revision.service,
            "conditions": [_condition_object(condition) for condition in conditions.of_revision(revision)],
        },
    }


def _service_metadata(control: ControlPlane, service: CloudRunService) -> dict[str, Json]:
    annotations = service.annotations | {
        "serving.knative.dev/creator": _DEPLOYER,
        "serving.knative.dev/lastModifier": _DEPLOYER,
        "run.googleapis.com/ingress": "all",
        "run.googleapis.com/ingress-status": "all",
    }
    if service.last_operation:
        annotations["run.googleapis.com/operation-id"] = service.last_operation
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


def _target_object(line: TrafficTarget) -> dict[str, Json]:
    target: dict[str, Json] = {"percent": line.percent}
    if line.revision is None:
        target["latestRevision"] = True
    else:
        target["revisionName"] = line.revision
    if line.tag:
        target["tag"] = line.tag
    return target


def _traffic_statuses(control: ControlPlane, service: CloudRunService) -> list[Json]:
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


def operation_object(control: ControlPlane, operation: Operation) -> dict[str, Json]:
    """The operation with its error, or with the service as its response."""
    found: dict[str, Json] = {"name": f"{control.parent}/operations/{operation.id}", "done": operation.done}
    if operation.error is not None:
        found["error"] = {"code": operation.error.code, "message": operation.error.message}
    elif operation.done:
        found["response"] = {
            "@type": "type.googleapis.com/google.cloud.run.v1.Service",
            **service_object(control, control.service(operation.service)),
        }
    return found


def list_object(kind: str, items: list[dict[str, Json]], following: str) -> Response:
    """One page of a list, and the token of the next."""
    return JSONResponse(
        {"apiVersion": _KNATIVE, "kind": kind, "items": items, "metadata": {"continue": following} if following else {}}
    )


def resource_version(body: dict[str, Json]) -> str:
    """The version that a PUT of the whole service was read at; empty when it does not say."""
    return _text(_part(body, "metadata"), "resourceVersion")


def change_from(body: dict[str, Json]) -> Change:
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


def _scaling(resources: ContainerResources) -> dict[str, Json]:
    return {_MIN_SCALE: str(resources.min_instances), _MAX_SCALE: str(resources.max_instances)}


def _resources(template: dict[str, Json], container: dict[str, Json]) -> ContainerResources:
    """What a template says of them; what it leaves out is as usual. Raises InvalidArgument."""
    limits = _texts(_part(container, "resources"), "limits")
    annotations, usual = _texts(_part(template, "metadata"), "annotations"), USUAL
    least, most = annotations.get(_MIN_SCALE, "0"), annotations.get(_MAX_SCALE, str(usual.max_instances))
    if not (least.isdecimal() and most.isdecimal()):
        raise InvalidArgument(f"{_MIN_SCALE} and {_MAX_SCALE} must be whole numbers.", "spec.template.metadata")
    return ContainerResources(limits.get("cpu", usual.cpu), limits.get("memory", usual.memory), int(least), int(most))


def _target_from(line: Json) -> TrafficTarget:
    if not isinstance(line, dict):
        raise InvalidArgument("spec.traffic must hold objects.", "spec.traffic")
    percent, revision = line.get("percent", 0), _text(line, "revisionName")
    if not isinstance(percent, int):
        raise InvalidArgument("spec.traffic.percent must be an integer.", "spec.traffic.percent")
    if bool(line.get("latestRevision")) == bool(revision):
        raise InvalidArgument("A traffic target names a revision or follows the latest one, not both.", "spec.traffic")
    return TrafficTarget(revision or None, percent, _text(line, "tag"))


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


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
