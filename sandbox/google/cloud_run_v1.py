"""The control plane's state as objects of the Cloud Run API v1 (the Knative dialect), which is what gcloud speaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.cloud import run_v2
from pydantic import AliasPath, BaseModel, ConfigDict, Field, NonNegativeInt
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse, Response

from sandbox.google import conditions
from sandbox.google.cloud_run_v2 import COMMIT_LABEL, own, revision_uid
from sandbox.google.http import rfc3339
from sandbox.platform.changes import Change, Operation, Template
from sandbox.platform.errors import InvalidArgument
from sandbox.platform.model import USUAL, CloudRunService, ContainerResources, Revision, TrafficTarget
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from sandbox.platform.control_plane import ControlPlane

_DEPLOYER = "deploy@sandbox.invalid"
_KNATIVE = "serving.knative.dev/v1"
_STATUSES = {"CONDITION_RECONCILING": "Unknown", "CONDITION_FAILED": "False", "CONDITION_SUCCEEDED": "True"}
_MIN_SCALE, _MAX_SCALE = "autoscaling.knative.dev/minScale", "autoscaling.knative.dev/maxScale"
SERVICE_LABEL = "serving.knative.dev/service"


def service_object(control: ControlPlane, service: CloudRunService) -> dict[str, Json]:
    """The service as `namespaces.services.get` answers it."""
    latest = service.revisions.get(service.latest_created)
    return {
        "apiVersion": _KNATIVE,
        "kind": "Service",
        "metadata": _service_metadata(control, service),
        "spec": {
            "template": _template_object(latest) if latest else {},
            "traffic": [_target_object(line) for line in service.traffic],
        },
        "status": {
            "observedGeneration": service.observed_generation,
            "conditions": [_condition_object(condition) for condition in conditions.of_service(service)],
            "latestCreatedRevisionName": service.latest_created,
            "latestReadyRevisionName": service.latest_ready,
            "traffic": _traffic_statuses(control, service),
            "url": service.url,
            "address": {"url": service.url},
        },
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
            "creationTimestamp": rfc3339(revision.created),
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
        "run.googleapis.com/urls": json.dumps(service.urls),
    }
    if service.last_operation:
        annotations["run.googleapis.com/operation-id"] = service.last_operation
    return {
        "name": service.name,
        "namespace": control.project,
        "uid": service.uid,
        "generation": service.generation,
        "resourceVersion": service.etag.strip('"'),
        "creationTimestamp": rfc3339(service.created),
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
    target: dict[str, Json] = {"percent": line.percent} if line.percent else {}
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


def _condition_object(condition: run_v2.Condition) -> dict[str, Json]:
    found: dict[str, Json] = {
        "type": condition.type_,
        "status": _STATUSES[condition.state.name],
        "lastTransitionTime": rfc3339(condition.last_transition_time),
    }
    if reason := condition.reason or condition.revision_reason:
        found["reason"] = "".join(word.capitalize() for word in reason.name.split("_"))
    if condition.message:
        found["message"] = condition.message
    if condition.severity == run_v2.Condition.Severity.INFO:
        found["severity"] = "Info"
    return found


def operation_object(control: ControlPlane, operation: Operation) -> dict[str, Json]:
    """The operation with its error, or with the service as its response."""
    found: dict[str, Json] = {"name": f"{control.parent}/operations/{operation.id}", "done": operation.done}
    if operation.error is not None:
        found["error"] = {"code": operation.error.code.value[0], "message": operation.error.message}
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


class _Target(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, strict=True)

    percent: int = 0
    revision_name: str = ""
    latest_revision: bool = False
    tag: str = ""

    def as_target(self) -> TrafficTarget:
        if self.latest_revision == bool(self.revision_name):
            problem = "A traffic target names a revision or follows the latest one, not both."
            raise InvalidArgument(problem, "spec.traffic")
        return TrafficTarget(self.revision_name or None, self.percent, self.tag)


def _at(*path: str | int) -> AliasPath:
    return AliasPath("spec", "template", *path)


class ReplaceServiceRequest(BaseModel):
    """A PUT of a whole service: what of it is kept here. Resources that it leaves out are as usual."""

    version: str = Field("", validation_alias=AliasPath("metadata", "resourceVersion"))
    labels: dict[str, str] = Field({}, validation_alias=AliasPath("metadata", "labels"))
    annotations: dict[str, str] = Field({}, validation_alias=AliasPath("metadata", "annotations"))
    traffic: list[_Target] = Field([], validation_alias=AliasPath("spec", "traffic"))
    revision: str = Field("", validation_alias=_at("metadata", "name"))
    commit: str = Field("", validation_alias=_at("metadata", "labels", COMMIT_LABEL))
    min_instances: NonNegativeInt = Field(0, validation_alias=_at("metadata", "annotations", _MIN_SCALE))
    max_instances: NonNegativeInt = Field(
        USUAL.max_instances, validation_alias=_at("metadata", "annotations", _MAX_SCALE)
    )
    containers: list[object] = Field(min_length=1, max_length=1, validation_alias=_at("spec", "containers"))
    image: str = Field("", validation_alias=_at("spec", "containers", 0, "image"))
    limits: dict[str, str] = Field({}, validation_alias=_at("spec", "containers", 0, "resources", "limits"))

    def change(self) -> Change:
        """What it asks for. Raises InvalidArgument."""
        cpu, memory = self.limits.get("cpu", USUAL.cpu), self.limits.get("memory", USUAL.memory)
        resources = ContainerResources(cpu, memory, self.min_instances, self.max_instances)
        return Change(
            traffic=[target.as_target() for target in self.traffic],
            labels=own(self.labels),
            annotations=own(self.annotations),
            template=Template(self.image, self.commit, self.revision, resources),
        )


def _scaling(resources: ContainerResources) -> dict[str, Json]:
    return {_MIN_SCALE: str(resources.min_instances), _MAX_SCALE: str(resources.max_instances)}
