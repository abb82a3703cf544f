"""Answers that no revision gave: how they look, what the log says of them, and how they differ from a revision's own."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks import web
from tests.conftest import Address, Start
from tests.sandbox.game import CONTENT, DEADLINE_SECONDS, LATEST, Game, counts, poll, revision

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36"
TRACE = "105445aa7843bc8bf206b12000100000"
NO_INSTANCE = "The request was aborted because there was no available instance."


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def game(address: Address) -> Iterator[Game]:
    one = Game(address, "production")
    yield one
    one.operator.put("/faults", json={"faults": []}).raise_for_status()
    one.shift(LATEST)


class Visitor:
    """Somebody who asks once, and can be found in the log."""

    def __init__(self, game: Game, agent: str = "visitor") -> None:
        self.agent = f"{agent} {uuid.uuid4()}"
        self.game = game

    def ask(self, url: str = "", **headers: str) -> httpx.Response:
        where = url or self.game.entry["url"]
        sent = {"User-Agent": self.agent, **headers}
        trusted = ssl.create_default_context(cafile=self.game.address["ca_file"])
        return httpx.get(f"{where}{CONTENT}", headers=sent, timeout=DEADLINE_SECONDS, verify=trusted)

    def logged(self) -> list[dict[str, Any]]:
        question = {
            "resourceNames": [f"projects/{self.game.address['project']}"],
            "filter": f'httpRequest.userAgent="{self.agent}"',
        }
        answer = web.post(f"{self.game.address['logging']}/v2/entries:list", json=question)
        found: list[dict[str, Any]] = answer.raise_for_status().json().get("entries", [])
        return found

    def entry(self) -> dict[str, Any]:
        poll(self.logged)
        (one,) = self.logged()
        return one


def tagged(game: Game, name: str) -> str:
    game.shift(LATEST, revision(name, 0, tag="control"))
    return str(next(line["uri"] for line in game.statuses() if line.get("tag") == "control"))


def test_a_revisions_answer_carries_the_front_ends_headers(game: Game) -> None:
    game.release()
    visitor = Visitor(game)
    plain, secure = visitor.ask(), Visitor(game).ask(game.entry["tls_url"])
    for answer in (plain, secure):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["server"] == "Google Frontend"
    assert "alt-svc" not in plain.headers
    assert secure.headers["alt-svc"].startswith('h3=":443"')
    trace = plain.headers["x-cloud-trace-context"].partition(";")[0]
    entry = visitor.entry()
    assert entry["trace"] == f"projects/{game.address['project']}/traces/{trace}"
    assert "textPayload" not in entry


@pytest.mark.parametrize(
    "headers",
    [{"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}],
    ids=["Google's", "W3C's"],
)
def test_a_clients_trace_is_kept(game: Game, headers: dict[str, str]) -> None:
    assert Visitor(game).ask(**headers).headers["x-cloud-trace-context"].startswith(TRACE)


def test_iam_refuses_every_address_before_any_revision_and_the_log_says_so(game: Game) -> None:
    old, new = game.release(), game.release()
    uri = tagged(game, old["current"])
    before = counts(game)
    game.operator.put("/faults", json={"faults": ["iam-refused"]})
    for where, name in ((game.entry["url"], new["current"]), (uri, old["current"])):
        visitor = Visitor(game, BROWSER)
        answer = visitor.ask(where)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=UTF-8")
        assert answer.headers["server"] == "Google Frontend"
        assert f"permission to get URL <code>{CONTENT}</code> from this server" in answer.text
        entry = visitor.entry()
        assert (entry["severity"], entry["httpRequest"]["status"]) == ("WARNING", 403)
        assert float(entry["httpRequest"]["latency"].rstrip("s")) == 0
        assert entry["textPayload"].startswith("The request was not authenticated.")
        assert entry["resource"]["labels"]["revision_name"] == name, "the one that would have been asked"
    after = counts(game)
    assert after.pop(("", "403")) == before.pop(("", "403"), 0) + 2
    assert after == before, "no revision has answered"


def test_a_wall_denies_whoever_is_no_browser_and_cloud_run_never_hears_of_it(game: Game) -> None:
    uri = tagged(game, game.release()["current"])
    game.operator.put("/faults", json={"faults": ["waf"]})
    visitor = Visitor(game)
    answer = visitor.ask()
    assert (answer.status_code, answer.headers["content-length"]) == (403, "134")
    assert answer.text.endswith("<title>403</title>403 Forbidden")
    assert "server" not in answer.headers
    assert "x-cloud-trace-context" not in answer.headers
    assert Visitor(game, BROWSER).ask().status_code == 200
    assert visitor.ask(uri).status_code == 200, "the load balancer is not on the way to a tag"
    assert visitor.entry()["httpRequest"]["status"] == 200, "of the two requests it knows one"


def test_a_wall_may_deny_everybody(game: Game) -> None:
    game.operator.put("/faults", json={"faults": ["waf-everybody"]})
    assert [Visitor(game, agent).ask().status_code for agent in ("visitor", BROWSER)] == [403, 403]


def test_without_an_instance_cloud_run_refuses_itself_and_the_log_tells_it_from_the_services_own_429(
    game: Game,
) -> None:
    old, new = game.release(), game.release("no-available-instance")
    visitor = Visitor(game)
    answer = visitor.ask()
    assert (answer.status_code, answer.text, answer.headers["server"]) == (429, "Rate exceeded.", "Google Frontend")
    entry = visitor.entry()
    assert (entry["severity"], entry["httpRequest"]["status"]) == ("WARNING", 429)
    assert entry["textPayload"].startswith(NO_INSTANCE)
    assert entry["resource"]["labels"]["revision_name"] == new["current"]
    assert (new["current"], "429") not in counts(game)
    game.shift(revision(old["current"], 100))
    assert Visitor(game).ask().status_code == 200, "the revision from before has one"


def test_an_instance_may_be_there_at_first(game: Game) -> None:
    game.release("no-available-instance@700ms")
    assert game.service.get(CONTENT).status_code == 200
    poll(lambda: game.service.get(CONTENT).status_code == 429)


def test_an_address_without_a_tag_is_nobodys(game: Game) -> None:
    uri = tagged(game, game.release()["current"])
    game.shift(LATEST)
    visitor = Visitor(game)
    answer = visitor.ask(uri)
    assert (answer.status_code, answer.headers["server"]) == (404, "Google Frontend")
    assert "<h1>Error: Page not found</h1>" in answer.text
    assert visitor.ask().status_code == 200
    assert visitor.entry()["httpRequest"]["status"] == 200, "the other is in no service's log"


def test_an_instance_that_dies_over_a_request_is_the_revisions_and_the_log_says_what_happened(game: Game) -> None:
    name = game.release("out-of-memory")["current"]
    poll(lambda: game.service.get(CONTENT).status_code == 503)
    question = {
        "resourceNames": [f"projects/{game.address['project']}"],
        "filter": f'httpRequest.status=503 AND resource.labels.revision_name="{name}"',
    }

    def entries() -> list[dict[str, Any]]:
        answer = web.post(f"{game.address['logging']}/v2/entries:list", json=question)
        found: list[dict[str, Any]] = answer.raise_for_status().json().get("entries", [])
        return found

    poll(entries)
    assert entries()[0]["severity"] == "ERROR"
    assert "connection to the instance had an error" in entries()[0]["textPayload"]
    assert counts(game)[name, "503"] >= 1
