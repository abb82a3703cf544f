"""The sandbox's answers held against Google's own descriptions of the API (they come with google-api-python-client)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from googleapiclient.discovery import build_from_document
from googleapiclient.http import build_http

from benchmarks import web
from tests.sandbox.google.api_description import DOCUMENTS, Description
from tests.sandbox.google.control_plane_fixture import (
    DEADLINE_SECONDS,
    NAME,
    PARENT,
    PROJECT,
    RETIRED,
    SERVICE,
    RunningControlPlane,
    running_control_plane,
)

KNATIVE = f"/apis/serving.knative.dev/v1/namespaces/{PROJECT}"
MOVE = {
    "traffic": [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": RETIRED, "percent": 90},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 10, "tag": "next"},
    ],
    "labels": {"team": "video"},
    "annotations": {"note": "x"},
}


V1, V2 = Description("run.v1"), Description("run.v2")


@pytest.fixture(scope="module", params=["at rest", "moving", "settled", "failed"])
def world(request: pytest.FixtureRequest) -> Iterator[RunningControlPlane]:
    """A service in each of the states that an answer can show; the tests only read."""
    with running_control_plane() as running:
        running.control.tag_urls[SERVICE, "next"] = "http://127.0.0.1:2"
        _bring_to(running, request.param)
        yield running


@pytest.fixture
def http(world: RunningControlPlane) -> Iterator[httpx.Client]:
    with web.Client(base_url=world.rest, timeout=DEADLINE_SECONDS) as client:
        yield client


def _bring_to(world: RunningControlPlane, state: str) -> None:
    if state == "at rest":
        return
    if state == "failed":
        world.control.faults.add("rollback-fails")
    if state == "moving":
        world.control.operation_seconds = 600
    with web.Client(base_url=world.rest, timeout=DEADLINE_SECONDS) as client:
        started = client.patch(f"/v2/{NAME}", params={"updateMask": "traffic,labels,annotations"}, json=MOVE)
        if state != "moving":
            client.post(f"/v2/{started.json()['name']}:wait").raise_for_status()


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (f"/v2/{NAME}", "GoogleCloudRunV2Service"),
        (f"/v2/{PARENT}/services?pageSize=1", "GoogleCloudRunV2ListServicesResponse"),
        (f"/v2/{NAME}/revisions?pageSize=2", "GoogleCloudRunV2ListRevisionsResponse"),
        (f"/v2/{NAME}/revisions/{RETIRED}", "GoogleCloudRunV2Revision"),
        (f"/v2/{PARENT}/operations", "GoogleLongrunningListOperationsResponse"),
    ],
)
def test_v2_answers_are_of_the_published_schema(http: httpx.Client, path: str, schema: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert V2.breaches(schema, answer.json()) == []


def test_what_a_v2_operation_carries_is_of_the_published_schema(http: httpx.Client) -> None:
    for operation in http.get(f"/v2/{PARENT}/operations").json().get("operations", []):
        for part in ("metadata", "response"):
            packed = operation.get(part, {})
            packed.pop("@type", None)
            assert V2.breaches("GoogleCloudRunV2Service", packed) == []


@pytest.mark.parametrize("parent", [KNATIVE, f"/v1/{PARENT}", f"/v1/projects/{PROJECT}/locations/-"])
@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (f"/services/{SERVICE}", "Service"),
        ("/services?limit=1", "ListServicesResponse"),
        (f"/revisions?limit=2&labelSelector=serving.knative.dev%2Fservice+%3D+{SERVICE}", "ListRevisionsResponse"),
        (f"/revisions/{RETIRED}", "Revision"),
    ],
)
def test_v1_answers_are_of_the_published_schema(http: httpx.Client, parent: str, path: str, schema: str) -> None:
    answer = http.get(parent + path)
    assert answer.status_code == 200
    assert V1.breaches(schema, answer.json()) == []


def test_v1_operations_are_of_the_published_schema(http: httpx.Client, world: RunningControlPlane) -> None:
    for name in world.control.operations:
        operation = http.get(f"/v1/{PARENT}/operations/{name}").json()
        assert operation["name"] == f"{PARENT}/operations/{name}"
        response = operation.pop("response", {})
        response.pop("@type", None)
        assert V1.breaches("GoogleLongrunningOperation", operation) == []
        assert V1.breaches("Service", response) == []


def test_the_comparison_sees_every_kind_of_breach() -> None:
    wrong = {
        "nmae": "x",
        "generation": 3,
        "reconciling": "true",
        "createTime": "today",
        "ingress": "INGRESS_TRAFFIC_SOME",
        "labels": {"team": 1},
        "traffic": [{"percent": True}],
        "template": [],
    }
    places = [
        breach.split(":")[0].removeprefix("GoogleCloudRunV2Service.")
        for breach in V2.breaches("GoogleCloudRunV2Service", wrong)
    ]
    assert places == [
        "nmae",
        "generation",
        "reconciling",
        "createTime",
        "ingress",
        "labels.team",
        "traffic[0].percent",
        "template",
    ]


def test_the_client_made_from_the_description_can_read_and_write() -> None:
    document = (DOCUMENTS / "run.v2.json").read_text()
    with (
        running_control_plane() as world,
        build_from_document(document, http=build_http(), client_options={"api_endpoint": world.rest}) as api,
    ):
        services = api.projects().locations().services()
        etag = services.get(name=NAME).execute()["etag"]
        operation = services.patch(name=NAME, updateMask="traffic", body={**MOVE, "etag": etag}).execute()
        ended = api.projects().locations().operations().wait(name=operation["name"], body={"timeout": "10s"}).execute()
    assert [each["percent"] for each in ended["response"]["trafficStatuses"]] == [90, 10]
