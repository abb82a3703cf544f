"""What the unmodified google-cloud-run clients read and write of the sandbox's Cloud Run, over REST and over gRPC alike."""

from __future__ import annotations

import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.longrunning import operations_pb2

from tests.sandbox.google.cloud_run_clients import (
    ALL_TO_LATEST,
    LATEST,
    Clients,
    State,
    clients,
    condition,
    pin,
    transport,
)
from tests.sandbox.google.control_plane_fixture import (
    BROKEN,
    NAME,
    PARENT,
    RETIRED,
    SERVING,
)

__all__ = ["clients", "transport"]


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
