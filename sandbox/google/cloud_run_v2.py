"""The control plane's state as messages of the Cloud Run Admin API v2, for its REST and its gRPC side alike.

The messages are the library's own, so shapes and enum values come from Google's descriptors.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2
from google.rpc import status_pb2

from sandbox.google import conditions
from sandbox.platform.changes import Change, Operation, Template
from sandbox.platform.control_plane import ControlPlane
from sandbox.platform.errors import InvalidArgument, Unimplemented
from sandbox.platform.model import USUAL, CloudRunService, ContainerResources, Revision, TrafficTarget

COMMIT_LABEL = "commit-sha"
_LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
_REVISION = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_WRITABLE = ("traffic", "labels", "annotations", "template")
_SYSTEM = (
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
    "client.knative.dev",
)


def service_message(control: ControlPlane, service: CloudRunService) -> run_v2.Service:
    """The service as `GetService` answers it."""
    name = f"{control.parent}/services/{service.name}"
    ready, *parts = conditions.of_service(service)
    latest = service.revisions.get(service.latest_created)
    return run_v2.Service(
        name=name,
        uid=service.uid,
        generation=service.generation,
        observed_generation=service.observed_generation,
        labels=service.labels,
        annotations=service.annotations,
        create_time=service.created,
        update_time=service.updated,
        creator="deploy@sandbox.invalid",
        last_modifier="deploy@sandbox.invalid",
        client="gcloud",
        ingress=run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL,
        launch_stage="GA",
        template=None if latest is None else _template_message(latest),
        traffic=[run_v2.TrafficTarget(**_allocation(line)) for line in service.traffic],
        # A LATEST entry names no revision: the caller looks at `latest_ready_revision`.
        traffic_statuses=[
            run_v2.TrafficTargetStatus(**_allocation(target), uri=control.tag_urls.get((service.name, target.tag), ""))
            for target in service.targets
        ],
        terminal_condition=ready,
        conditions=parts,
        latest_ready_revision=_revision_name(name, service.latest_ready),
        latest_created_revision=_revision_name(name, service.latest_created),
        uri=service.url,
        urls=service.urls,
        reconciling=service.reconciling,
        etag=service.etag,
    )


def revision_message(control: ControlPlane, revision: Revision) -> run_v2.Revision:
    """The revision as `GetRevision` answers it."""
    template = _template_message(revision)
    return run_v2.Revision(
        name=f"{control.parent}/services/{revision.service}/revisions/{revision.name}",
        uid=revision_uid(revision),
        generation=1,
        observed_generation=1,
        labels=template.labels,
        create_time=revision.created,
        update_time=revision.retired or revision.created,
        launch_stage="GA",
        service=revision.service,
        scaling=template.scaling,
        max_instance_request_concurrency=template.max_instance_request_concurrency,
        timeout=template.timeout,
        service_account=template.service_account,
        containers=template.containers,
        reconciling=not revision.ready and not revision.failure,
        conditions=conditions.of_revision(revision),
        log_uri=f"https://console.cloud.google.com/logs/viewer?project={control.project}",
        creator="deploy@sandbox.invalid",
        etag=f'"{revision_uid(revision)}"',
    )


def revision_uid(revision: Revision) -> str:
    """A stable identifier, made from what never changes."""
    return str(uuid5(NAMESPACE_URL, f"{revision.name}@{revision.created.isoformat()}"))


def operation_message(control: ControlPlane, operation: Operation) -> operations_pb2.Operation:
    """The operation with its service as metadata and, once it succeeded, as response."""
    name = f"{control.parent}/operations/{operation.id}"
    packed = any_pb2.Any()
    packed.Pack(run_v2.Service.pb(service_message(control, control.service(operation.service))))
    message = operations_pb2.Operation(name=name, done=operation.done, metadata=packed)
    if operation.error is not None:
        message.error.CopyFrom(status_pb2.Status(code=operation.error.code.value[0], message=operation.error.message))
    elif operation.done:
        message.response.CopyFrom(packed)
    return message


def change_from(message: run_v2.Service, mask: Iterable[str]) -> Change:
    """What an UpdateService request asks for.

    Without a mask every writable part is replaced. Raises InvalidArgument for a path the service does not
    have or a part that makes no sense, Unimplemented for a part that the sandbox does not keep.
    """
    paths = {path.split(".")[0] for path in mask} or set(_WRITABLE)
    if "*" in paths:
        paths = set(_WRITABLE)
    known = {field.name for field in run_v2.Service.pb().DESCRIPTOR.fields}
    if unknown := sorted(paths - known):
        raise InvalidArgument(f"Invalid field in update_mask: '{unknown[0]}'.", "update_mask")
    if unkept := sorted(paths - set(_WRITABLE)):
        raise Unimplemented(f"This Cloud Run does not keep '{unkept[0]}'; it changes {', '.join(_WRITABLE)}.")
    return Change(
        traffic=[_target_from(line) for line in message.traffic] if "traffic" in paths else None,
        labels=own(dict(message.labels)) if "labels" in paths else None,
        annotations=own(dict(message.annotations)) if "annotations" in paths else None,
        template=_template_from(message.template) if "template" in paths else None,
    )


def own(pairs: dict[str, str]) -> dict[str, str]:
    """Labels or annotations without those in the platform's namespaces, which callers cannot set."""
    return {key: value for key, value in pairs.items() if not key.split("/")[0].endswith(_SYSTEM)}


def _revision_name(service: str, revision: str) -> str:
    return f"{service}/revisions/{revision}" if revision else ""


def _template_message(revision: Revision) -> run_v2.RevisionTemplate:
    return run_v2.RevisionTemplate(
        labels={COMMIT_LABEL: revision.commit} if revision.commit else {},
        scaling=run_v2.RevisionScaling(
            min_instance_count=revision.resources.min_instances, max_instance_count=revision.resources.max_instances
        ),
        max_instance_request_concurrency=80,
        timeout=timedelta(minutes=5),
        service_account="backend@sandbox.invalid",
        containers=[
            run_v2.Container(
                image=revision.image,
                ports=[run_v2.ContainerPort(container_port=8080)],
                resources=run_v2.ResourceRequirements(
                    limits={"cpu": revision.resources.cpu, "memory": revision.resources.memory}, cpu_idle=True
                ),
            )
        ],
    )


def _template_from(template: run_v2.RevisionTemplate) -> Template:
    if len(template.containers) != 1 or not template.containers[0].image:
        raise InvalidArgument(
            "template.containers must hold one container with an image.", "service.template.containers"
        )
    container, usual = template.containers[0], USUAL
    limits = container.resources.limits
    return Template(
        image=container.image,
        commit=template.labels.get(COMMIT_LABEL, ""),
        revision=template.revision,
        resources=ContainerResources(
            limits.get("cpu", usual.cpu),
            limits.get("memory", usual.memory),
            template.scaling.min_instance_count,
            template.scaling.max_instance_count or usual.max_instances,
        ),
    )


def _allocation(line: TrafficTarget) -> dict[str, str | int]:
    """The fields that a traffic target and its status share."""
    kind = _LATEST if line.revision is None else _REVISION
    return {"type_": kind, "revision": line.revision or "", "percent": line.percent, "tag": line.tag}


def _target_from(target: run_v2.TrafficTarget) -> TrafficTarget:
    if target.type_ == _LATEST:
        if target.revision:
            raise InvalidArgument("A target of type LATEST must not name a revision.", "service.traffic.revision")
        return TrafficTarget(None, target.percent, target.tag)
    if target.type_ != _REVISION or not target.revision:
        raise InvalidArgument(
            "A traffic target must be of type LATEST, or of type REVISION with a revision.", "service.traffic.type"
        )
    if "/" in target.revision:
        raise InvalidArgument(f"'{target.revision}' is not the short name of a revision.", "service.traffic.revision")
    return TrafficTarget(target.revision, target.percent, target.tag)
