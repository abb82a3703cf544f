"""What a caller without a client library sees: encodings, error bodies, proxy requests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from benchmarks import web
from tests.sandbox.google.control_plane_fixture import (
    DEADLINE_SECONDS,
    NAME,
    PARENT,
    PROJECT,
    RETIRED,
    SERVICE,
    SERVING,
    RunningControlPlane,
    running_control_plane,
)

KNATIVE = f"/apis/serving.knative.dev/v1/namespaces/{PROJECT}"
AS_NUMBERS = {"$alt": "json;enum-encoding=int"}


@pytest.fixture
def world() -> Iterator[RunningControlPlane]:
    with running_control_plane() as running:
        yield running


@pytest.fixture
def http(world: RunningControlPlane) -> Iterator[httpx.Client]:
    with web.Client(base_url=world.rest, timeout=DEADLINE_SECONDS) as client:
        yield client


def test_enums_are_names_unless_the_caller_asks_for_numbers(http: httpx.Client) -> None:
    named, numbered = http.get(f"/v2/{NAME}").json(), http.get(f"/v2/{NAME}", params=AS_NUMBERS).json()
    assert named["trafficStatuses"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    assert numbered["trafficStatuses"] == [{"type": 1, "percent": 100}]


def test_64_bit_integers_are_strings(http: httpx.Client) -> None:
    assert http.get(f"/v2/{NAME}").json()["generation"] == "3"


@pytest.mark.parametrize("kind", [2, "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"])
def test_a_write_takes_enums_in_either_form(http: httpx.Client, kind: int | str) -> None:
    traffic = [{"type": kind, "revision": RETIRED, "percent": 100}]
    started = http.patch(f"/v2/{NAME}", params={"updateMask": "traffic"}, json={"traffic": traffic}).json()
    assert not started.get("done")
    ended = http.post(f"/v2/{started['name']}:wait", json={"timeout": "10s"}).json()
    assert ended["done"]
    assert ended["response"]["@type"] == "type.googleapis.com/google.cloud.run.v2.Service"
    assert ended["response"]["trafficStatuses"][0]["revision"] == RETIRED


def test_a_failed_operation_is_done_and_carries_the_error(world: RunningControlPlane, http: httpx.Client) -> None:
    world.control.faults.add("rollback-fails")
    traffic = [{"type": 2, "revision": RETIRED, "percent": 100}]
    started = http.patch(f"/v2/{NAME}", params={"updateMask": "traffic"}, json={"traffic": traffic}).json()
    ended = http.post(f"/v2/{started['name']}:wait").json()
    assert ended["done"]
    assert ended["error"]["code"] == 13
    assert "response" not in ended


def test_waiting_stops_at_the_callers_timeout() -> None:
    with (
        running_control_plane(operation_seconds=600) as world,
        web.Client(base_url=world.rest, timeout=DEADLINE_SECONDS) as http,
    ):
        body = {"traffic": [{"type": 2, "revision": RETIRED, "percent": 100}]}
        started = http.patch(f"/v2/{NAME}", params={"updateMask": "traffic"}, json=body).json()
        assert not http.post(f"/v2/{started['name']}:wait", json={"timeout": "0.05s"}).json().get("done")


@pytest.mark.parametrize(
    ("request_line", "body", "code", "status"),
    [
        (f"GET /v2/{NAME}-x", "", 404, "NOT_FOUND"),
        (f"GET /v2/{PARENT}/operations/x", "", 404, "NOT_FOUND"),
        ("GET /v2/nonsense", "", 404, "NOT_FOUND"),
        (f"GET /v2/{NAME.replace(PROJECT, 'another')}", "", 403, "PERMISSION_DENIED"),
        (f"GET /v2/{PARENT}/services?pageSize=x", "", 400, "INVALID_ARGUMENT"),
        (f"GET /v2/{PARENT}/services?pageToken=x", "", 400, "INVALID_ARGUMENT"),
        (f"PATCH /v2/{NAME}?updateMask=traffic", "{", 400, "INVALID_ARGUMENT"),
        (f"PATCH /v2/{NAME}?updateMask=traffic", '{"trafic": []}', 400, "INVALID_ARGUMENT"),
        (f"PATCH /v2/{NAME}?updateMask=traffic", '{"etag": "old"}', 409, "ABORTED"),
        (f"PATCH /v2/{NAME}?updateMask=scaling", "{}", 501, "UNIMPLEMENTED"),
        (f"GET {KNATIVE}/services/x", "", 404, "NOT_FOUND"),
        (f"GET {KNATIVE.replace(PROJECT, 'another')}/services", "", 403, "PERMISSION_DENIED"),
        (f"PUT {KNATIVE}/services/{SERVICE}", "{}", 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors_have_googles_shape(http: httpx.Client, request_line: str, body: str, code: int, status: str) -> None:
    method, path = request_line.split(" ", 1)
    answer = http.request(method, path, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (code, code, status)
    assert error["message"]


def test_an_outage_covers_both_dialects(world: RunningControlPlane, http: httpx.Client) -> None:
    world.control.faults.add("cloud-run-down")
    for path in (f"/v2/{NAME}", f"{KNATIVE}/services/{SERVICE}"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")


def test_a_proxy_request_is_answered_whatever_the_host(world: RunningControlPlane) -> None:
    request = (
        f"GET http://us-east1-run.sandbox.invalid{KNATIVE}/services/{SERVICE} HTTP/1.1\r\n"
        "Host: us-east1-run.sandbox.invalid\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.rest_port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert SERVING.encode() in answer


def test_a_v1_status_that_follows_the_latest_names_the_revision(http: httpx.Client) -> None:
    service = http.get(f"{KNATIVE}/services/{SERVICE}").json()
    assert service["spec"]["traffic"] == [{"percent": 100, "latestRevision": True}]
    assert service["status"]["traffic"] == [{"percent": 100, "latestRevision": True, "revisionName": SERVING}]


def test_a_v1_write_with_a_stale_resource_version_is_refused(http: httpx.Client) -> None:
    service = http.get(f"{KNATIVE}/services/{SERVICE}").json()
    service["spec"]["traffic"] = [{"percent": 100, "revisionName": RETIRED}]
    written = http.put(f"{KNATIVE}/services/{SERVICE}", json=service).json()
    assert written["metadata"]["generation"] == service["metadata"]["generation"] + 1
    assert http.put(f"{KNATIVE}/services/{SERVICE}", json=service).status_code == 409


def test_a_v1_write_of_what_was_read_makes_no_revision(world: RunningControlPlane, http: httpx.Client) -> None:
    service = http.get(f"{KNATIVE}/services/{SERVICE}").json()
    http.put(f"{KNATIVE}/services/{SERVICE}", json=service).raise_for_status()
    assert len(world.service.revisions) == 3
    assert world.service.annotations == {}  # the platform's own annotations and labels are not the caller's
    assert world.service.labels == {}
