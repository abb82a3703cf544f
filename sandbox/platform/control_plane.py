"""Cloud Run's control plane: accepts writes and applies them as long-running operations.

A write is accepted at once (generation and etag move, `reconciling` turns on) and takes effect when its operation
ends, `operation_seconds` later, as in Cloud Run. What was asked (`Service.traffic`) and what flows
(`Service.serving`) therefore differ for a while, and stay different when the operation fails.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sandbox.faults import Faults, of_previous
from sandbox.platform.changes import Change, Operation, Template, checked
from sandbox.platform.errors import AlreadyExists, ApiError, Conflict, FailedPrecondition, Internal, NotFound
from sandbox.platform.model import (
    CloudRunService,
    Revision,
    Rollout,
    TrafficTarget,
    new_image,
)
from sandbox.platform.tasks import TaskSet

MAX_OPERATIONS = 1000
_ASKED_AGAIN = 0.05
_log = logging.getLogger(__name__)


class ControlPlane:
    """Services, their revisions, their traffic and the operations that change them. Use it on one event loop.

    `tag_urls` maps (service, tag) to the address of the tag. Whoever serves tags fills it in `on_change`, which is
    called after `serving` changed, tags included, and before the operation is reported done. `start` has a
    revision's server come up unless it is, and answers whether its container started.
    """

    def __init__(
        self, start: Callable[[Revision], Awaitable[bool]], project: str, region: str, operation_seconds: float = 0.4
    ) -> None:
        self.project = project
        self.region = region
        self.operation_seconds = operation_seconds
        self.services: dict[str, CloudRunService] = {}
        self.faults = Faults()
        self.operations: dict[str, Operation] = {}
        self.tag_urls: dict[tuple[str, str], str] = {}
        self._start = start
        self.on_change: Callable[[CloudRunService], None] = lambda _service: None
        self._tasks = TaskSet()

    @property
    def parent(self) -> str:
        """The resource name of the region, `projects/P/locations/R`."""
        return f"projects/{self.project}/locations/{self.region}"

    def service(self, name: str) -> CloudRunService:
        """The service of this short name. Raises NotFound."""
        if name not in self.services:
            raise self._no_such("SERVICE", name)
        return self.services[name]

    def revision(self, service: str, name: str) -> Revision:
        """The revision of these short names. Raises NotFound."""
        revision = self.service(service).revisions.get(name)
        if revision is None:
            raise self._no_such("REVISION", name)
        return revision

    def operation(self, name: str) -> Operation:
        """The operation of this short name. Raises NotFound."""
        if name not in self.operations:
            raise NotFound(f"Operation '{name}' does not exist.")
        return self.operations[name]

    def route(self, service: str, tag: str = "") -> str | None:
        """The revision (short name) that answers one request: a tag's, or one drawn by the percentages; or None."""
        serving = self.service(service).serving
        if tag:
            return next((line.revision for line in serving if line.tag == tag), None)
        lines = [line for line in serving if line.percent > 0]
        return random.choices(lines, [line.percent for line in lines])[0].revision if lines else None

    async def deploy(self, service: str, *, faults: frozenset[str], commit: str) -> Rollout:
        """Create a revision as `gcloud run deploy` does and wait until it settled.

        It receives the traffic of LATEST targets, hence none when traffic is pinned. Raises NotFound, and the
        operation's error (FailedPrecondition) when the container does not start; traffic then stays where it was.
        """
        target = self.service(service)
        previous = max(target.serving, key=lambda line: line.percent).revision if target.serving else None
        if previous is not None:
            target.revisions[previous].faults |= of_previous(faults)
        revision = self._new_revision(target, Template(new_image(), commit), faults)
        operation = self._begin(target, revision)
        await operation.finished.wait()
        if operation.error is not None:
            raise operation.error
        note = Rollout(at=datetime.now(UTC), previous=previous or "", current=revision.name, commit=commit)
        target.deployments.append(note)
        return note

    async def update(self, service: str, change: Change, etag: str | None, *, validate_only: bool = False) -> Operation:
        """Accept a write and return its operation, which is still running.

        Raises NotFound (service), InvalidArgument (percentages, tags), Conflict (a stale `etag`) and
        AlreadyExists (a revision name that is taken). A target revision that is missing or not ready is
        accepted here and fails the operation, as in Cloud Run.
        """
        target = self.service(service)
        traffic = None if change.traffic is None else checked(change.traffic)
        if traffic is not None and "rollback-conflict" in self.faults and not validate_only:
            self._interfere(target)
        if etag and etag != target.etag:
            raise Conflict(
                f"Conflict for resource '{service}': it has changed since etag {etag} was read; "
                f"its etag is now {target.etag}."
            )
        template = self._new_template(target, change.template)
        if validate_only:
            operation = self._operation(target)
            operation.finished.set()
            return operation
        if traffic is not None:
            target.traffic = traffic
        if change.labels is not None:
            target.labels = dict(change.labels)
        if change.annotations is not None:
            target.annotations = dict(change.annotations)
        return self._begin(target, None if template is None else self._revision_from(target, template))

    async def close(self) -> None:
        """Cancel what is under way; what was started stays up, it is the runtime's."""
        await self._tasks.cancel()

    def _no_such(self, kind: str, name: str) -> ApiError:
        place = f"in region '{self.region}' in project '{self.project}'"
        return NotFound(f"Resource '{name}' of kind '{kind}' {place} does not exist.")

    def _interfere(self, service: CloudRunService) -> None:
        """Somebody else's harmless change, once, between the caller's read and the caller's write."""
        self.faults.discard("rollback-conflict")
        service.labels = service.labels | {"cost-center": "streaming"}
        self._begin(service, None)

    def _new_template(self, service: CloudRunService, template: Template | None) -> Template | None:
        """The template if it calls for a new revision, None if it is the one deployed last."""
        if template is None:
            return None
        if template.revision and (there := service.revisions.get(template.revision)) is not None:
            if not template.describes(there):
                raise AlreadyExists(
                    f"Revision named '{template.revision}' with different configuration already exists."
                )
            return None
        latest = service.revisions.get(service.latest_created)
        same = latest is not None and template.describes(latest)
        return None if same and not template.revision else template

    def _revision_from(self, service: CloudRunService, template: Template) -> Revision:
        """A revision that a client asked for; planted faults are in the code, so the same image keeps them."""
        latest = service.revisions.get(service.latest_created)
        inherited = latest.faults if latest is not None and latest.image == template.image else frozenset()
        return self._new_revision(service, template, inherited)

    def _new_revision(self, service: CloudRunService, template: Template, faults: frozenset[str]) -> Revision:
        name = template.revision or service.next_revision_name()
        revision = Revision(
            name=name,
            service=service.name,
            created=datetime.now(UTC),
            image=template.image,
            commit=template.commit,
            faults=faults,
            resources=template.resources,
        )
        service.revisions[name] = revision
        service.latest_created = name
        return revision

    def _operation(self, service: CloudRunService) -> Operation:
        operation = Operation(id=str(uuid.uuid4()), service=service.name, started=datetime.now(UTC))
        self.operations[operation.id] = operation
        if len(self.operations) > MAX_OPERATIONS:
            del self.operations[next(iter(self.operations))]
        return operation

    def _begin(self, service: CloudRunService, starting: Revision | None) -> Operation:
        service.generation += 1
        service.reconciling = True
        service.touch()
        operation = self._operation(service)
        service.last_operation = operation.id
        self._tasks.start(self._reconcile(service, operation, service.generation, starting))
        return operation

    async def _reconcile(
        self, service: CloudRunService, operation: Operation, generation: int, starting: Revision | None
    ) -> None:
        async with service.lock:
            await asyncio.sleep(self.operation_seconds)
            try:
                await self._bring_up(service, starting)
                if generation == service.generation:  # else a newer write has replaced this one's targets
                    await self._shift(service)
                self.on_change(service)
            except ApiError as error:
                operation.error = error
            except Exception as problem:  # an operation must end, or every client would wait for ever
                _log.exception("operation %s on %s", operation.id, service.name)
                operation.error = Internal(f"Internal error: {problem!r}")
            self._settle(service, operation, generation)

    def _settle(self, service: CloudRunService, operation: Operation, generation: int) -> None:
        if generation == service.generation:
            service.reconciling = False
            service.failure = "" if operation.error is None else operation.error.message
        service.observed_generation = generation
        service.touch()
        operation.finished.set()

    async def _bring_up(self, service: CloudRunService, starting: Revision | None) -> None:
        if starting is None:
            return
        if not await self._start(starting):
            starting.failure = f"The container did not start and listen on port 8080 in time ({starting.image})."
            raise FailedPrecondition(starting.refusal)
        starting.ready = True
        service.latest_ready = starting.name

    async def _shift(self, service: CloudRunService) -> None:
        """Let the asked targets flow. Raises, with nothing moved, when one of them cannot serve."""
        if service.traffic != service.targets:
            if "rollback-fails" in self.faults:
                raise Internal("The traffic of the service could not be changed: its routes did not become ready.")
            if "success-without-effect" in self.faults:
                return
            if "operation-never-ends" in self.faults:
                while "operation-never-ends" in self.faults:  # noqa: ASYNC110  (taken back by whoever planted it)
                    await asyncio.sleep(_ASKED_AGAIN)
                raise Internal("The operation was given up.")
        serving = [
            TrafficTarget(line.revision or service.latest_ready, line.percent, line.tag) for line in service.traffic
        ]
        for line in serving:
            revision = service.revisions.get(line.revision or "")
            if revision is None:
                raise Internal(
                    f"Revision '{line.revision}' does not exist or is deleted; send traffic to revisions that exist."
                )
            if not revision.ready or (line.percent > 0 and not await self._start(revision)):
                raise FailedPrecondition(revision.refusal)
        service.targets = list(service.traffic)
        before = service.shares()
        service.serving = serving
        service.moves += service.shares() != before
        service.retire_idle()
