"""What a client of the service sees of each fault, and how a release and a rollback move it."""

from __future__ import annotations

import json
import re
import socket
import time

import httpx
import pytest

from benchmarks import web
from sandbox.faults import CATALOGUE, REQUESTS_TO_FULL_MEMORY, SPARED
from tests.conftest import Address, Start
from tests.sandbox.game import CONTENT, DEADLINE_SECONDS, LATEST, LOGIN, SEARCH, Game, counts, poll, revision


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def game(address: Address) -> Game:
    return Game(address, "production")


def test_unhealthy_breaks_every_health_endpoint_and_every_api_path(game: Game) -> None:
    game.release("unhealthy")
    for path in ("/health", "/health/ready", "/health/deep", CONTENT, SEARCH):
        assert game.service.get(path).status_code == 503, path
    assert game.login().status_code == 503
    assert game.deep()[1]["status"] == "unhealthy"


def test_slow_start_answers_503_at_first_and_well_soon_after(game: Game) -> None:
    game.release("slow-start")
    assert game.service.get("/health").status_code == 503
    assert game.login().status_code == 503
    poll(lambda: game.service.get("/health").status_code == 200)
    assert game.login().status_code == 200


def test_login_broken_breaks_login_alone(game: Game) -> None:
    game.release("login-broken")
    assert game.login().status_code == 500
    assert game.deep()[1]["status"] == "healthy"
    assert game.service.get(SEARCH).status_code == 200
    assert game.play().status_code == 206


def test_search_broken_answers_with_a_page_where_json_is_due(game: Game) -> None:
    game.release("search-broken")
    response = game.service.get(SEARCH)
    assert response.status_code == 500
    assert response.headers["content-type"].startswith("text/html")
    assert "<html>" in response.text
    assert game.login().status_code == 200


def test_playback_broken_loses_the_video_behind_a_good_content_list(game: Game) -> None:
    game.release("playback-broken")
    assert game.service.get(CONTENT).status_code == 200
    assert game.play().status_code == 404


def test_mongodb_down_is_seen_by_health_and_by_all_that_reads_data(game: Game) -> None:
    game.release("mongodb-down")
    ready = game.service.get("/health/ready")
    status, deep = game.deep()
    assert (ready.status_code, ready.json()["services"]["mongodb"]["status"]) == (503, "unhealthy")
    assert (status, deep["status"], deep["services"]["mongodb"]["status"]) == (503, "unhealthy", "unhealthy")
    assert deep["services"]["openai"]["status"] == "healthy"
    assert game.service.get("/health").status_code == 200, "the process itself is alive"
    for response in (game.login(), game.service.get(CONTENT), game.service.get(SEARCH)):
        assert (response.status_code, response.json()) == (500, {"detail": "Internal Server Error"})


def test_mongodb_slow_degrades_but_serves(game: Game) -> None:
    game.release("mongodb-slow")
    status, deep = game.deep()
    assert (status, deep["status"], deep["services"]["mongodb"]["status"]) == (200, "degraded", "degraded")
    assert deep["services"]["mongodb"]["latency_ms"] > 100
    assert game.service.get("/health/ready").status_code == 200
    assert game.login().status_code == 200


def test_dependency_slow_degrades_openai_alone(game: Game) -> None:
    game.release("dependency-slow")
    status, deep = game.deep()
    assert (status, deep["status"], deep["services"]["openai"]["status"]) == (200, "degraded", "degraded")
    assert deep["services"]["openai"]["latency_ms"] > 2400
    assert {deep["services"][name]["status"] for name in ("mongodb", "elevenlabs", "pinecone")} == {"healthy"}


def test_faults_combine(game: Game) -> None:
    game.release("login-broken", "search-broken", "playback-broken", "mongodb-slow", "dependency-slow")
    _, deep = game.deep()
    assert [deep["services"][name]["status"] for name in ("mongodb", "openai")] == ["degraded", "degraded"]
    assert game.login().status_code == 500
    assert game.service.get(SEARCH).status_code == 500
    assert game.play().status_code == 404
    assert game.service.get(CONTENT).status_code == 200


def test_a_release_takes_the_traffic_and_a_rollback_gives_it_back(game: Game) -> None:
    good = game.release()
    bad = game.release("login-broken")
    assert bad["previous"] == good["current"]
    assert re.fullmatch(rf"{game.entry['service']}-\d{{5}}-[a-z]{{3}}", bad["current"])
    status, deep = game.deep()
    assert (status, deep["revision"], deep["commit"]) == (200, bad["current"], bad["commit"])
    document = game.operator.get("/").json()
    assert document["environments"]["production"]["deployment"] == bad

    game.shift(revision(good["current"], 100))
    try:
        assert game.login().status_code == 200
        assert game.deep()[1]["revision"] == good["current"]
        assert game.release()["current"] != game.deep()[1]["revision"], "pinned traffic stays where it is"
    finally:
        game.shift(LATEST)


def test_a_revision_that_lost_its_traffic_starts_cold_when_it_gets_it_back(game: Game) -> None:
    slow = game.release("slow-start")
    poll(lambda: game.service.get("/health").status_code == 200)
    game.release()
    game.shift(revision(slow["current"], 100))
    try:
        assert game.service.get("/health").status_code == 503
    finally:
        game.shift(LATEST)


def test_a_request_in_flight_during_a_release_is_answered_by_the_revision_it_reached(game: Game) -> None:
    game.release("login-broken")
    body = json.dumps(game.address["smoke_user"]).encode()
    url = httpx.URL(game.entry["url"])
    with socket.create_connection((url.host, url.port or 80), DEADLINE_SECONDS) as connection:
        head = f"POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 "), "a revision wants the body: it has the request"
        game.release()
        assert game.login().status_code == 200
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 500 ")


def test_traffic_splits_by_percentage_and_each_answer_is_on_record(address: Address) -> None:
    game = Game(address, "staging")
    first, second = game.release(), game.release("login-broken")
    game.shift(revision(first["current"], 50), revision(second["current"], 50))
    before = counts(game)
    seen = {game.login().status_code for _ in range(60)}  # all on one side: once in 2**59
    assert seen == {200, 500}
    after = counts(game)
    assert after.get((first["current"], "200"), 0) > before.get((first["current"], "200"), 0)
    assert sum(after.values()) - sum(before.values()) == 60
    last = game.operator.get("/served", params={"environment": "staging"}).json()["requests"][-1]
    assert (last["path"], last["method"]) == (LOGIN, "POST")
    assert last["user_agent"].startswith("python-httpx")
    game.shift(LATEST)


def test_actor_faults_come_into_force_after_the_release_and_until_taken_back(game: Game) -> None:
    game.release("login-broken", "cloud-run-down")
    try:
        assert game.operator.get("/faults").json()["in_force"] == ["cloud-run-down"]
        assert web.get(game.admin).status_code == 503
        assert game.login().status_code == 500
    finally:
        game.operator.put("/faults", json={"faults": []})
    assert web.get(game.admin).status_code == 200


def test_rollback_fails_leaves_the_traffic_where_it_was(game: Game) -> None:
    good, bad = game.release(), game.release("login-broken", "rollback-fails")
    try:
        game.shift(revision(good["current"], 100))
        assert game.deep()[1]["revision"] == bad["current"]
    finally:
        game.operator.put("/faults", json={"faults": []})
        game.shift(LATEST)


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_cloud_run_refuses_every_call_in_its_own_shape(status: int, game: Game) -> None:
    game.operator.put("/faults", json={"faults": [f"cloud-run-{status}"]})
    try:
        answer = web.get(game.admin)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
    finally:
        game.operator.put("/faults", json={"faults": []})
    assert web.get(game.admin).status_code == 200


def test_cloud_run_that_hangs_answers_nobody(game: Game) -> None:
    game.operator.put("/faults", json={"faults": ["cloud-run-hangs"]})
    try:
        with pytest.raises(httpx.ReadTimeout):
            web.get(game.admin, timeout=0.2)
    finally:
        game.operator.put("/faults", json={"faults": []})
    assert web.get(game.admin).status_code == 200


def test_a_success_without_effect_ends_well_and_moves_nothing(game: Game) -> None:
    good, bad = game.release(), game.release("login-broken", "success-without-effect")
    try:
        game.shift(revision(good["current"], 100))
        assert game.deep()[1]["revision"] == bad["current"]
        assert web.get(game.admin).json()["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    finally:
        game.operator.put("/faults", json={"faults": []})
        game.shift(LATEST)


def test_an_operation_that_never_ends_is_under_way_until_the_fault_is_taken_back(game: Game) -> None:
    good, bad = game.release(), game.release("login-broken", "operation-never-ends")
    try:
        changed = web.patch(
            game.admin,
            params={"updateMask": "traffic"},
            json={"traffic": [revision(good["current"], 100)]},
            trust_env=False,
        )
        operation = f"{game.address['cloud_run']['rest']}/v2/{changed.json()['name']}"
        waited = web.post(f"{operation}:wait", json={"timeout": "1s"})
        assert not waited.json().get("done")
        assert game.deep()[1]["revision"] == bad["current"]
    finally:
        game.operator.put("/faults", json={"faults": []})
        game.shift(LATEST)
    assert "error" in web.get(operation).json()


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/release", {"environment": "production", "faults": ["gremlins"]}, ["gremlins", "login-broken"]),
        ("POST", "/release", {"environment": "moon"}, ["moon", "staging", "production"]),
        ("POST", "/release", {"environment": "staging", "commit": "xyz"}, ["commit", "40"]),
        ("POST", "/release", {"environment": "staging", "faults": "all"}, ["faults", "list"]),
        ("PUT", "/faults", {"faults": ["gremlins"]}, ["gremlins", "cloud-run-down"]),
        ("PUT", "/faults", {"faults": ["unhealthy"]}, ["unhealthy", "cloud-run-down"]),
        ("PUT", "/faults", {}, ["faults", "list"]),
        ("POST", "/release", {"environment": "staging", "faults": ["latency@8"]}, ["latency@8", "unit", "8s"]),
        ("PUT", "/faults", {"faults": ["sentry-down@soon"]}, ["sentry-down@soon", "unit"]),
        ("PUT", "/users", {"rpm": -1}, ["rpm", "6000"]),
        ("PUT", "/users", {"rpm": True}, ["rpm", "6000"]),
        ("GET", "/served", None, ["environment", "staging"]),
    ],
)
def test_the_operator_is_told_what_was_wrong_and_what_there_is(
    game: Game, method: str, path: str, body: object, words: list[str]
) -> None:
    before = game.operator.get("/").json()
    response = game.operator.request(method, path, json=body)
    assert response.status_code == 422
    assert all(word in response.json()["error"] for word in words), response.text
    assert game.operator.get("/").json() == before


def test_the_catalogue_is_shown_whole(game: Game) -> None:
    shown = game.operator.get("/faults").json()["faults"]
    assert [fault["name"] for fault in shown] == [fault.name for fault in CATALOGUE]
    assert all(
        fault["kind"] in {"service", "surroundings", "observer", "actor"} and fault["description"] for fault in shown
    )


def test_a_client_finds_a_quiet_fault_only_if_it_asks_often(game: Game) -> None:
    game.release("error-rate")
    assert [game.service.get(SEARCH).status_code for _ in range(SPARED + 5)] == [200] * (SPARED + 4) + [500]
    assert game.deep()[1]["status"] == "healthy"


def test_out_of_memory_ends_the_container_and_the_next_request_starts_another(game: Game) -> None:
    game.release("out-of-memory")
    statuses = [game.service.get(SEARCH).status_code for _ in range(REQUESTS_TO_FULL_MEMORY + 5)]
    assert statuses == [200] * (REQUESTS_TO_FULL_MEMORY - 1) + [503] + [200] * 5
    assert game.deep()[1]["status"] == "healthy"


@pytest.mark.parametrize(
    ("fault", "path", "status"),
    [
        ("unhealthy", "/health", 503),
        ("mongodb-down", CONTENT, 500),
        ("search-broken", SEARCH, 500),
    ],
)
def test_a_fault_begins_in_the_middle_and_goes_with_its_revision(
    game: Game, fault: str, path: str, status: int
) -> None:
    good, bad = game.release(), game.release(f"{fault}@700ms")
    assert game.service.get(path).status_code == 200
    poll(lambda: game.service.get(path).status_code == status)
    game.shift(revision(good["current"], 100))
    try:
        assert game.service.get(path).status_code == 200
        game.shift(revision(bad["current"], 100))
        assert game.service.get(path).status_code == 200, "a revision that comes back begins anew"
    finally:
        game.shift(LATEST)


def test_an_actor_fails_in_the_middle(game: Game) -> None:
    game.release("cloud-run-down@1500ms")
    try:
        assert game.operator.get("/faults").json()["to_come"] == ["cloud-run-down"]
        poll(lambda: web.get(game.admin).status_code == 503)
        assert game.operator.get("/faults").json()["in_force"] == ["cloud-run-down"]
    finally:
        game.operator.put("/faults", json={"faults": []})


def test_none_of_the_users_comes_any_more_once_the_operator_has_sent_them_away(game: Game) -> None:
    """One who came late would be answered by the revision before, after the creation of the next one."""
    begun = sum(counts(game).values())
    game.operator.put("/users", json={"rpm": 600})
    poll(lambda: sum(counts(game).values()) > begun)
    game.operator.put("/users", json={"rpm": 0})
    ended = sum(counts(game).values())
    time.sleep(0.5)  # what is measured is that nothing happens in a time
    assert sum(counts(game).values()) == ended


def test_users_come_at_the_operators_rate_and_stay_away_from_what_they_dislike(game: Game) -> None:
    def served() -> int:
        return sum(counts(game).values())

    game.release("traffic-drop")
    before = served()
    assert game.operator.put("/users", json={"rpm": 1200}).json() == {"rpm": 1200}
    try:
        time.sleep(2)  # what is measured is how little happens in a time
        assert served() - before < 20, "of forty, four come"
        poll(lambda: served() > before)
        game.release()
        before = served()
        poll(lambda: served() - before >= 20)
    finally:
        game.operator.put("/users", json={"rpm": 0})
