"""Traffic that the unmodified google-cloud-run clients move in the sandbox's Cloud Run, over REST and over gRPC alike."""

from __future__ import annotations

import pytest
from google.api_core import exceptions
from google.cloud import run_v2

from tests.sandbox.google.cloud_run_clients import (
    ALL_TO_LATEST,
    LATEST,
    REVISION,
    Clients,
    State,
    clients,
    condition,
    pin,
    slow_clients,
    transport,
)
from tests.sandbox.google.control_plane_fixture import (
    BROKEN,
    NAME,
    RETIRED,
    SERVING,
)

__all__ = ["clients", "slow_clients", "transport"]


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
