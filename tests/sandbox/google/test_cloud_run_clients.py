"""The unmodified google-cloud-run clients against the sandbox's Cloud Run, over REST and over gRPC alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import pytest
from google.api_core import exceptions
from google.api_core.future.polling import DEFAULT_POLLING
from google.api_core.operation import Operation
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.longrunning import operations_pb2

from tests.sandbox.google.control_plane_fixture import (
    BROKEN,
    DEADLINE_SECONDS,
    NAME,
    PARENT,
    RETIRED,
    SERVING,
    RunningControlPlane,
    running_control_plane,
)

LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
REVISION = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
ALL_TO_LATEST = run_v2.TrafficTarget(type_=LATEST, percent=100)
State = run_v2.Condition.State
POLLING = DEFAULT_POLLING.with_delay(initial=0.02, maximum=0.1, multiplier=1.5)


@dataclass
class Clients:
    """Both clients over one transport, and the control plane behind them."""

    world: RunningControlPlane
    services: run_v2.ServicesClient
    revisions: run_v2.RevisionsClient

    def get(self) -> run_v2.Service:
        """Read the service once, without the client's retries."""
        return self.services.get_service(name=NAME, retry=None, timeout=DEADLINE_SECONDS)

    def ask(self, traffic: Sequence[run_v2.TrafficTarget], etag: str = "") -> Operation:
        """Send a traffic update."""
        return self.write(run_v2.Service(name=NAME, traffic=traffic, etag=etag), "traffic")

    def write(self, service: run_v2.Service, *mask: str, validate_only: bool = False) -> Operation:
        """Send an update of the parts in `mask`."""
        return self.services.update_service(
            run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, validate_only=validate_only),
            timeout=DEADLINE_SECONDS,
        )

    def done(self, operation: Operation) -> run_v2.Service:
        """Wait for an operation."""
        service: run_v2.Service = operation.result(  # type: ignore[no-untyped-call]
            timeout=DEADLINE_SECONDS, polling=POLLING
        )
        return service

    def move(self, *traffic: run_v2.TrafficTarget) -> run_v2.Service:
        """Update the traffic and wait until it settled."""
        return self.done(self.ask(traffic))


def pin(revision: str, percent: int = 100, tag: str = "") -> run_v2.TrafficTarget:
    return run_v2.TrafficTarget(type_=REVISION, revision=revision, percent=percent, tag=tag)


@contextmanager
def connected(transport: str, operation_seconds: float = 0.1) -> Iterator[Clients]:
    """Clients of a control plane of their own."""
    with running_control_plane(operation_seconds) as world:
        if transport == "rest":
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            options = {"api_endpoint": world.rest}
            yield Clients(
                world,
                run_v2.ServicesClient(transport="rest", credentials=credentials, client_options=options),
                run_v2.RevisionsClient(transport="rest", credentials=credentials, client_options=options),
            )
            return
        with grpc.insecure_channel(f"127.0.0.1:{world.grpc_port}") as channel:
            yield Clients(
                world,
                run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
                run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
            )


@pytest.fixture(params=["rest", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clients(transport: str) -> Iterator[Clients]:
    with connected(transport) as found:
        yield found


@pytest.fixture
def slow_clients(transport: str) -> Iterator[Clients]:
    """As `clients`, with operations that do not end during a test."""
    with connected(transport, operation_seconds=600) as found:
        yield found


def condition(conditions: Sequence[run_v2.Condition], kind: str) -> run_v2.Condition:
    return next(each for each in conditions if each.type_ == kind)


def test_a_status_that_follows_the_latest_names_no_revision(clients: Clients) -> None:
    service = clients.get()
    (status,) = service.traffic_statuses
    assert (status.type_, status.revision, status.percent) == (LATEST, "", 100)
    assert service.latest_ready_revision == f"{NAME}/revisions/{SERVING}"
    assert service.latest_created_revision == f"{NAME}/revisions/{BROKEN}"


def test_a_failed_deploy_in_the_history_shows_in_the_service(clients: Clients) -> None:
    service = clients.get()
    assert service.terminal_condition.state == State.CONDITION_FAILED
    assert service.terminal_condition.reason == run_v2.Condition.CommonReason.REVISION_FAILED
    assert condition(service.conditions, "RoutesReady").state == State.CONDITION_SUCCEEDED
    assert not service.reconciling


def test_services_are_listed(clients: Clients) -> None:
    assert [each.name for each in clients.services.list_services(parent=PARENT)] == [NAME]


@pytest.mark.parametrize("parent", [NAME, f"{PARENT}/services/-"])
def test_revisions_are_listed_newest_first_page_by_page(clients: Clients, parent: str) -> None:
    pages = clients.revisions.list_revisions(run_v2.ListRevisionsRequest(parent=parent, page_size=2)).pages
    names = [[each.name.rpartition("/")[2] for each in page.revisions] for page in pages]
    assert names == [[BROKEN, SERVING], [RETIRED]]


def test_a_good_idle_revision_is_ready_and_inactive(clients: Clients) -> None:
    revision = clients.revisions.get_revision(name=f"{NAME}/revisions/{RETIRED}")
    assert condition(revision.conditions, "Ready").state == State.CONDITION_SUCCEEDED
    active = condition(revision.conditions, "Active")
    assert active.state == State.CONDITION_FAILED
    assert active.severity == run_v2.Condition.Severity.INFO
    assert active.revision_reason == run_v2.Condition.RevisionReason.RETIRED
    assert condition(revision.conditions, "MinInstancesProvisioned").state == State.CONDITION_FAILED
    assert revision.labels["commit-sha"] == "1" * 40


def test_a_revision_whose_container_failed_is_not_ready(clients: Clients) -> None:
    revision = clients.revisions.get_revision(name=f"{NAME}/revisions/{BROKEN}")
    ready = condition(revision.conditions, "Ready")
    assert ready.state == State.CONDITION_FAILED
    assert ready.revision_reason == run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR


def test_traffic_moves_when_the_etag_is_current(clients: Clients) -> None:
    before = clients.get()
    after = clients.done(clients.ask([pin(RETIRED)], before.etag))
    assert [(each.type_, each.revision, each.percent) for each in after.traffic_statuses] == [(REVISION, RETIRED, 100)]
    assert after.generation == after.observed_generation == before.generation + 1
    assert after.terminal_condition.state == State.CONDITION_SUCCEEDED
    assert after.etag != before.etag
    assert clients.world.control.route("bayit-plus-backend") == RETIRED
    assert RETIRED in clients.world.runtime.started
    assert after.latest_ready_revision.endswith(SERVING)


def test_roles_swap_when_traffic_moves(clients: Clients) -> None:
    clients.move(pin(RETIRED))
    now_idle = clients.revisions.get_revision(name=f"{NAME}/revisions/{SERVING}")
    now_serving = clients.revisions.get_revision(name=f"{NAME}/revisions/{RETIRED}")
    assert condition(now_idle.conditions, "Active").state == State.CONDITION_FAILED
    assert condition(now_serving.conditions, "Active").state == State.CONDITION_SUCCEEDED


def test_a_write_with_a_stale_etag_is_refused(clients: Clients, transport: str) -> None:
    stale = clients.get().etag
    clients.move(pin(SERVING))
    with pytest.raises(exceptions.Conflict) as refused:
        clients.ask([pin(RETIRED)], stale)
    assert isinstance(refused.value, exceptions.Aborted) == (transport == "grpc")
    assert clients.get().traffic[0].revision == SERVING


def test_nothing_has_settled_while_the_operation_runs(slow_clients: Clients) -> None:
    before = slow_clients.get()
    operation = slow_clients.ask([pin(RETIRED)], before.etag)
    during = slow_clients.get()
    assert not operation.operation.done
    assert during.reconciling
    assert during.generation == during.observed_generation + 1
    assert during.terminal_condition.state == State.CONDITION_RECONCILING
    assert during.traffic[0].revision == RETIRED
    assert during.traffic_statuses == before.traffic_statuses
    assert operation.metadata.name == NAME


def test_a_failed_operation_leaves_traffic_where_it_was_and_says_so(clients: Clients) -> None:
    clients.world.control.faults.add("rollback-fails")
    before = clients.get()
    with pytest.raises(exceptions.GoogleAPICallError):
        clients.move(pin(RETIRED))
    after = clients.get()
    assert after.traffic_statuses == before.traffic_statuses
    assert after.traffic[0].revision == RETIRED
    assert after.terminal_condition.state == State.CONDITION_FAILED
    assert condition(after.conditions, "RoutesReady").state == State.CONDITION_FAILED
    assert not after.reconciling
    assert after.generation == after.observed_generation
    assert clients.world.control.route("bayit-plus-backend") == SERVING


@pytest.mark.parametrize("target", [BROKEN, "bayit-plus-backend-00099-zzz"])
def test_a_revision_that_cannot_serve_fails_the_operation(clients: Clients, target: str) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match=target):
        clients.move(pin(target))
    assert clients.world.control.route("bayit-plus-backend") == SERVING


def test_an_empty_split_follows_the_latest(clients: Clients) -> None:
    clients.move(pin(RETIRED))
    after = clients.move()
    assert list(after.traffic) == [ALL_TO_LATEST]
    assert clients.world.control.route("bayit-plus-backend") == SERVING


@pytest.mark.parametrize(
    "traffic",
    [
        [pin(RETIRED, 60), pin(SERVING, 30)],
        [pin(RETIRED, 130), pin(SERVING, -30)],
        [pin(f"{NAME}/revisions/{RETIRED}")],
        [run_v2.TrafficTarget(percent=100)],
        [run_v2.TrafficTarget(type_=LATEST, revision=RETIRED, percent=100)],
        [pin(RETIRED, 100, "blue"), pin(SERVING, 0, "blue")],
        [pin(RETIRED, 100, "Not_A_Tag")],
    ],
    ids=["90 %", "negative", "full name", "no type", "latest with a name", "tag twice", "bad tag"],
)
def test_a_split_that_makes_no_sense_is_refused(clients: Clients, traffic: list[run_v2.TrafficTarget]) -> None:
    before = clients.get()
    with pytest.raises(exceptions.BadRequest):
        clients.ask(traffic)
    assert clients.get() == before


def test_a_split_sends_requests_both_ways(clients: Clients) -> None:
    clients.move(pin(RETIRED, 50), pin(SERVING, 50))
    assert {clients.world.control.route("bayit-plus-backend") for _ in range(200)} == {RETIRED, SERVING}


def test_a_tag_at_no_traffic_has_an_address_and_gets_no_requests(clients: Clients) -> None:
    control = clients.world.control
    control.on_change = lambda service: control.tag_urls.update({(service.name, "blue"): "http://127.0.0.1:2"})
    after = clients.move(ALL_TO_LATEST, pin(RETIRED, 0, "blue"))
    assert [(each.tag, each.uri) for each in after.traffic_statuses] == [("", ""), ("blue", "http://127.0.0.1:2")]
    assert control.route("bayit-plus-backend", "blue") == RETIRED
    assert {control.route("bayit-plus-backend") for _ in range(50)} == {SERVING}


def test_a_deploy_takes_over_when_traffic_follows_the_latest(clients: Clients) -> None:
    name = clients.world.deploy()
    after = clients.get()
    assert after.latest_ready_revision.endswith(name)
    assert after.terminal_condition.state == State.CONDITION_SUCCEEDED
    assert clients.world.control.route("bayit-plus-backend") == name
    note = clients.world.service.deployments[-1]
    assert (note.previous, note.current, note.commit) == (SERVING, name, "f" * 40)


def test_a_deploy_gets_no_traffic_while_traffic_is_pinned(clients: Clients) -> None:
    clients.move(pin(SERVING))
    name = clients.world.deploy()
    assert clients.get().latest_ready_revision.endswith(name)
    assert clients.world.control.route("bayit-plus-backend") == SERVING
    idle = clients.revisions.get_revision(name=f"{NAME}/revisions/{name}")
    assert condition(idle.conditions, "Active").revision_reason == run_v2.Condition.RevisionReason.RETIRED
    clients.move(ALL_TO_LATEST)
    assert clients.world.control.route("bayit-plus-backend") == name


def test_a_deploy_whose_container_fails_changes_nothing_that_serves(clients: Clients) -> None:
    with pytest.raises(Exception, match="not ready"):
        clients.world.deploy("does-not-start")
    after = clients.get()
    assert after.latest_ready_revision.endswith(SERVING)
    assert not after.latest_created_revision.endswith(SERVING)
    assert after.terminal_condition.state == State.CONDITION_FAILED
    assert clients.world.control.route("bayit-plus-backend") == SERVING
    assert len(clients.world.service.deployments) == 0


def test_somebody_elses_change_conflicts_once(clients: Clients) -> None:
    clients.world.control.faults.add("rollback-conflict")
    with pytest.raises(exceptions.Conflict):
        clients.ask([pin(RETIRED)], clients.get().etag)
    changed = clients.get()
    assert changed.labels
    assert changed.traffic[0].type_ == LATEST
    after = clients.done(clients.ask([pin(RETIRED)], changed.etag))
    assert after.traffic_statuses[0].revision == RETIRED


def test_every_call_fails_while_the_api_is_down(clients: Clients) -> None:
    clients.world.control.faults.add("cloud-run-down")
    with pytest.raises(exceptions.ServiceUnavailable):
        clients.get()
    with pytest.raises(exceptions.ServiceUnavailable):
        clients.ask([pin(RETIRED)])
    clients.world.control.faults.clear()
    assert clients.get().traffic[0].type_ == LATEST


def test_labels_change_without_touching_the_rest(clients: Clients) -> None:
    after = clients.done(
        clients.write(run_v2.Service(name=NAME, labels={"team": "video"}, traffic=[pin(RETIRED)]), "labels")
    )
    assert dict(after.labels) == {"team": "video"}
    assert list(after.traffic) == [ALL_TO_LATEST]
    assert len(clients.world.service.revisions) == 3


def test_a_new_template_is_a_new_revision(clients: Clients) -> None:
    template = clients.get().template
    template.containers[0].image = "us-docker.pkg.dev/p/r/i:next"
    after = clients.done(clients.write(run_v2.Service(name=NAME, template=template), "template"))
    assert after.latest_ready_revision == after.latest_created_revision
    assert after.template.containers[0].image == "us-docker.pkg.dev/p/r/i:next"
    assert len(clients.world.service.revisions) == 4


def test_a_revision_name_cannot_be_used_for_something_else(clients: Clients, transport: str) -> None:
    template = clients.get().template
    template.revision = RETIRED
    with pytest.raises(exceptions.Conflict) as refused:
        clients.write(run_v2.Service(name=NAME, template=template), "template")
    assert not isinstance(refused.value, exceptions.Aborted)
    assert isinstance(refused.value, exceptions.AlreadyExists) == (transport == "grpc")


def test_a_write_without_a_mask_replaces_everything(clients: Clients) -> None:
    with pytest.raises(exceptions.BadRequest, match="containers"):
        clients.write(run_v2.Service(name=NAME, traffic=[pin(RETIRED)]))
    with pytest.raises(exceptions.BadRequest, match="no_such_field"):
        clients.write(run_v2.Service(name=NAME), "no_such_field")


def test_a_validated_write_changes_nothing(clients: Clients) -> None:
    before = clients.get()
    operation = clients.write(run_v2.Service(name=NAME, traffic=[pin(RETIRED)]), "traffic", validate_only=True)
    clients.done(operation)
    assert clients.get() == before
    with pytest.raises(exceptions.Conflict):
        clients.write(run_v2.Service(name=NAME, traffic=[pin(RETIRED)], etag='"old"'), "traffic", validate_only=True)


def test_the_newer_of_two_overlapping_writes_wins(clients: Clients) -> None:
    first = clients.ask([pin(RETIRED)])
    second = clients.ask([pin(SERVING)])
    clients.done(first)
    after = clients.done(second)
    assert [each.revision for each in after.traffic_statuses] == [SERVING]
    assert after.generation == after.observed_generation
    assert not after.reconciling


def test_an_overtaken_write_does_not_answer_for_the_newer_one(clients: Clients) -> None:
    overtaken, newer = clients.ask([pin(RETIRED)]), clients.ask([pin(BROKEN)])
    clients.done(overtaken)
    with pytest.raises(exceptions.GoogleAPICallError, match=BROKEN):
        clients.done(newer)


def test_operations_can_be_read_waited_for_and_listed(clients: Clients) -> None:
    name = clients.ask([pin(RETIRED)]).operation.name
    clients.services.wait_operation(operations_pb2.WaitOperationRequest(name=name))  # over gRPC it gives raw bytes
    assert clients.services.get_operation(operations_pb2.GetOperationRequest(name=name)).done
    listed = clients.services.list_operations(operations_pb2.ListOperationsRequest(name=PARENT))
    assert [each.name for each in listed.operations] == [name]


def test_permissions_are_answered(clients: Clients) -> None:
    answer = clients.services.test_iam_permissions({"resource": NAME, "permissions": ["run.services.update"]})
    assert list(answer.permissions) == ["run.services.update"]


def test_what_does_not_exist_is_not_found(clients: Clients) -> None:
    with pytest.raises(exceptions.NotFound):
        clients.services.get_service(name=f"{NAME}-x")
    with pytest.raises(exceptions.NotFound):
        clients.revisions.get_revision(name=f"{NAME}/revisions/x")
    with pytest.raises(exceptions.NotFound):
        clients.services.get_service(name=NAME.replace("us-east1", "europe-west1"))
    with pytest.raises(exceptions.Forbidden):
        clients.services.get_service(name=NAME.replace("sandbox-project", "another"))
