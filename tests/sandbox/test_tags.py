"""Tags: addresses that one revision answers, whatever the traffic does, until they are removed."""

from __future__ import annotations

import time
import uuid
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import monitoring_v3, run_v2
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport

from benchmarks import web
from sandbox.faults import COLD_START
from tests.conftest import Address, Start
from tests.sandbox.game import CONTENT, DEADLINE_SECONDS, LATEST, LOGIN, Game, poll, revision


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


def v2_over_grpc(game: Game) -> str:
    channel = grpc.insecure_channel(game.address["cloud_run"]["grpc"], options=[("grpc.enable_http_proxy", 0)])
    with run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)) as client:
        return tag_of(client.get_service(name=game.name).traffic_statuses)


def v2_over_rest(game: Game) -> str:
    client = run_v2.ServicesClient(
        transport="rest",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": game.address["cloud_run"]["rest"]},
    )
    return tag_of(client.get_service(name=game.name).traffic_statuses)


def tag_of(statuses: Any) -> str:
    return str(next(line.uri for line in statuses if line.tag == "candidate"))


def v1(game: Game) -> str:
    path = f"/apis/serving.knative.dev/v1/namespaces/{game.address['project']}/services/{game.entry['service']}"
    traffic = web.get(f"{game.address['cloud_run']['rest']}{path}").json()["status"]["traffic"]
    return str(next(line["url"] for line in traffic if line.get("tag") == "candidate"))


@pytest.mark.parametrize("read", [v2_over_grpc, v2_over_rest, v1])
def test_each_api_tells_the_address_and_it_answers(read: Any, address: Address) -> None:
    game = Game(address, "staging")
    old, new = game.release(), game.release()
    game.shift(LATEST, revision(old["current"], 0, tag="candidate"))
    try:
        deep = web.get(f"{read(game)}/health/deep", timeout=DEADLINE_SECONDS).json()
        assert (deep["revision"], game.deep()[1]["revision"]) == (old["current"], new["current"])
    finally:
        game.shift(LATEST)


def test_a_revision_without_traffic_is_reached_by_its_tag_alone(address: Address) -> None:
    game = Game(address, "staging")
    good, bad = game.release(), game.release("login-broken")
    game.shift(revision(good["current"], 100), revision(bad["current"], 0, tag="candidate"))
    uri = next(line["uri"] for line in game.statuses() if line.get("tag") == "candidate")
    assert game.operator.get("/").json()["environments"]["staging"]["tags"]["candidate"] == uri
    user = address["smoke_user"]
    assert web.post(f"{uri}{LOGIN}", json=user).status_code == 500
    assert {game.login().status_code for _ in range(20)} == {200}
    game.shift(revision(good["current"], 0, tag="candidate"), revision(bad["current"], 100))
    assert web.post(f"{uri}{LOGIN}", json=user).status_code == 200, "the tag moved, its address not"
    game.shift(LATEST)
    assert web.post(f"{uri}{LOGIN}", json=user).status_code == 404


def test_an_address_goes_with_its_tag_and_comes_back_with_it(address: Address) -> None:
    game = Game(address, "staging")
    first = game.release()["current"]

    def tags() -> dict[str, str]:
        found: dict[str, str] = game.operator.get("/").json()["environments"]["staging"]["tags"]
        return found

    game.shift(LATEST, revision(first, 0, tag="control"))
    uri = tags()["control"]
    game.shift(LATEST)
    assert tags() == {}
    assert [line.get("uri") for line in game.statuses()] == [None]
    game.shift(LATEST, revision(first, 0, tag="control"))
    assert tags() == {"control": uri}, "it is made of the tag and the service, as Cloud Run's is"
    game.shift(LATEST)


def test_a_tag_sends_no_user_elsewhere(address: Address) -> None:
    game = Game(address, "staging")
    old, new = game.release(), game.release()

    def moves() -> int:
        return int(game.operator.get("/served", params={"environment": "staging"}).json()["moves"])

    before = moves()
    game.shift(LATEST, revision(old["current"], 0, tag="control"))
    game.shift(LATEST)
    assert moves() == before
    game.shift(revision(new["current"], 100))
    assert moves() == before, "those whom it had by being the latest it has by name now"
    game.shift(revision(old["current"], 100))
    assert moves() == before + 1
    game.shift(LATEST)


def test_what_a_tag_answers_is_logged_and_measured_as_its_revisions(address: Address) -> None:
    game = Game(address, "production")
    old, _ = game.release(), game.release()
    game.shift(LATEST, revision(old["current"], 0, tag="control"))
    agent = f"control/{uuid.uuid4()}"
    uri = next(line["uri"] for line in game.statuses() if line.get("tag") == "control")
    web.get(f"{uri}{CONTENT}", headers={"User-Agent": agent}).raise_for_status()
    game.shift(LATEST)

    question = {"resourceNames": [f"projects/{address['project']}"], "filter": f'httpRequest.userAgent="{agent}"'}

    def logged() -> list[dict[str, Any]]:
        answer = web.post(f"{address['logging']}/v2/entries:list", json=question)
        found: list[dict[str, Any]] = answer.raise_for_status().json().get("entries", [])
        return found

    poll(logged)
    (entry,) = logged()
    assert entry["resource"]["labels"]["revision_name"] == old["current"]
    assert entry["httpRequest"]["requestUrl"] == f"{uri}{CONTENT}"

    def counted() -> int:
        return sum(point.value.int64_value for point in metric_of(address, "request_count", old["current"]))

    poll(lambda: counted() == 1)


def metric_of(address: Address, metric: str, name: str) -> list[monitoring_v3.Point]:
    """What Cloud Monitoring knows of a revision."""
    channel = grpc.insecure_channel(address["monitoring"], options=[("grpc.enable_http_proxy", 0)])
    now = int(time.time())
    question = {
        "name": f"projects/{address['project']}",
        "filter": f'metric.type = "run.googleapis.com/{metric}" AND resource.labels.revision_name = "{name}"',
        "interval": {"start_time": {"seconds": now - 60}, "end_time": {"seconds": now + 1}},
        "view": "FULL",
    }
    with monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel)) as client:
        series = client.list_time_series(request=question, timeout=DEADLINE_SECONDS)
        return [point for one in series for point in one.points]


def test_a_revision_without_traffic_starts_cold_and_the_first_answers_of_its_tag_wait_for_it(address: Address) -> None:
    game = Game(address, "staging")
    old, new = game.release(), game.release()
    game.operator.put("/faults", json={"faults": ["cold-start"]})
    try:
        game.shift(LATEST, revision(old["current"], 0, tag="control"))
        uri = next(line["uri"] for line in game.statuses() if line.get("tag") == "control")
        began = time.monotonic()
        assert game.deep()[1]["revision"] == new["current"]
        assert time.monotonic() - began < COLD_START, "what has its instance answers at once"
        answers = [web.get(f"{uri}/health", timeout=DEADLINE_SECONDS) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        first, second = (answer.elapsed.total_seconds() for answer in answers)
        assert second < COLD_START < first
    finally:
        game.operator.put("/faults", json={"faults": []})
        game.shift(LATEST)
    poll(lambda: metric_of(address, "request_latencies", old["current"]))
    latencies = metric_of(address, "request_latencies", old["current"])
    assert all(point.value.distribution_value.mean < COLD_START * 1000 for point in latencies)
