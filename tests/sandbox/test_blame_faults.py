"""Faults that are nobody's, everybody's, or met once: what a client sees of them, and on which revision."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from pymongo import MongoClient

from benchmarks import web
from sandbox.faults import BLIP_SECONDS
from tests.conftest import Address, Start
from tests.sandbox.game import CONTENT, DEADLINE_SECONDS, LATEST, LOGIN, SEARCH, Game, counts, poll, revision


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def game(address: Address) -> Iterator[Game]:
    one = Game(address, "production")
    yield one
    one.operator.put("/faults", json={"faults": []}).raise_for_status()
    one.shift(LATEST)


def control(game: Game, name: str) -> httpx.Client:
    """A client of a revision without traffic."""
    game.shift(LATEST, revision(name, 0, tag="control"))
    uri = next(line["uri"] for line in game.statuses() if line.get("tag") == "control")
    return web.Client(base_url=uri, timeout=DEADLINE_SECONDS)


@pytest.mark.parametrize(("fault", "status"), [("password-rotated", 401), ("account-locked", 423)])
def test_an_account_that_cannot_log_in_fails_on_every_revision(game: Game, fault: str, status: int) -> None:
    old, new = game.release(), game.release(fault)
    assert game.login().status_code == status
    assert game.deep()[1]["revision"] == new["current"]
    before = control(game, old["current"]).post(LOGIN, json=game.address["smoke_user"])
    assert before.status_code == status
    assert before.headers["content-type"] == "application/json", "the service says so, not the front end"
    assert game.deep()[1]["status"] == "healthy"
    game.operator.put("/faults", json={"faults": []})
    assert game.login().status_code == 200


def test_users_are_not_the_smoke_account(game: Game) -> None:
    game.operator.put("/faults", json={"faults": ["password-rotated"]})
    name = game.release("password-rotated")["current"]
    game.operator.put("/users", json={"rpm": 6000})
    with MongoClient[dict[str, object]](game.entry["mongodb"], serverSelectionTimeoutMS=5000) as client:
        database = client.get_default_database()
        smoke = database["users"].find_one({"email": game.address["smoke_user"]["email"]})
        assert smoke is not None
        try:
            poll(lambda: database["sessions"].find_one({"user_id": {"$ne": smoke["_id"]}}))  # one in fifty logs in
        finally:
            game.operator.put("/users", json={"rpm": 0})
    assert {status for revision, status in counts(game) if revision == name} == {"200"}


def test_a_dependency_is_slow_for_the_new_revision_or_for_every_one(game: Game) -> None:
    old = game.release()
    game.release("dependency-slow")
    with control(game, old["current"]) as before:
        assert game.deep()[1]["services"]["openai"]["status"] == "degraded"
        assert before.get("/health/deep").json()["services"]["openai"]["status"] == "healthy"
        game.release("dependency-slow-everywhere")
        for client in (game.service, before):
            openai = client.get("/health/deep").json()["services"]["openai"]
            assert (openai["status"], openai["latency_ms"] > 2400) == ("degraded", True)


@pytest.mark.parametrize(
    ("faults", "path", "status"),
    [(["previous-broken"], LOGIN, 500), (["previous-broken", "search-broken"], SEARCH, 500)],
)
def test_the_revision_from_before_is_broken_in_the_same_way(
    game: Game, faults: list[str], path: str, status: int
) -> None:
    oldest, old, _ = game.release(), game.release(), game.release(*faults)

    def answers(client: httpx.Client) -> dict[str, int]:
        login = client.post(LOGIN, json=game.address["smoke_user"])
        return {
            LOGIN: login.status_code,
            SEARCH: client.get(SEARCH).status_code,
            CONTENT: client.get(CONTENT).status_code,
        }

    wanted = {LOGIN: 200, SEARCH: 200, CONTENT: 200, path: status}
    assert answers(game.service) == wanted
    with control(game, old["current"]) as before:
        assert answers(before) == wanted
    with control(game, oldest["current"]) as long_before:
        assert set(answers(long_before).values()) == {200}
    game.shift(revision(old["current"], 100))
    assert answers(game.service) == wanted


@pytest.mark.parametrize(("fault", "status"), [("blip", 500), ("blip-502", 502)])
def test_a_blip_is_one_bad_answer_to_each_client(game: Game, fault: str, status: int) -> None:
    game.release(fault)
    for agent in ("smoke", "users"):
        asked = [game.service.get(path, headers={"User-Agent": agent}) for path in (CONTENT, SEARCH, "/health") * 4]
        assert [answer.status_code for answer in asked] == [status] + [200] * 11


def test_a_blip_waits_for_its_time(game: Game) -> None:
    game.release("blip@700ms")
    assert game.service.get("/health").status_code == 200
    poll(lambda: game.service.get("/health").status_code == 500)
    assert {game.service.get("/health").status_code for _ in range(10)} == {200}


def test_a_blip_may_break_off_an_answer(game: Game) -> None:
    game.release("blip-broken-off")
    with pytest.raises(httpx.RemoteProtocolError):
        game.service.get(CONTENT)
    assert {game.service.get(CONTENT).status_code for _ in range(10)} == {200}


def test_a_blip_may_be_an_answer_that_takes_long(game: Game) -> None:
    game.release("blip-slow")
    began = time.monotonic()
    assert game.service.get(CONTENT).status_code == 200
    assert time.monotonic() - began > BLIP_SECONDS
    began = time.monotonic()
    assert game.service.get(CONTENT).status_code == 200
    assert time.monotonic() - began < BLIP_SECONDS


def test_one_answer_in_two_hundred_is_bad(game: Game) -> None:
    game.release("errors-half-percent")
    asked = (game.service.get(LOGIN).status_code for _ in range(3000))  # the cheapest API path: 405
    assert 500 in asked, "all good: once in three million times"
    assert Counter(game.service.get(LOGIN).status_code for _ in range(100)).most_common(1)[0][0] == 405
    assert {game.service.get("/health").status_code for _ in range(50)} == {200}
