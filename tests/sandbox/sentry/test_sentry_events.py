"""What reaches Sentry: from an unmodified SDK, from the revisions, and under its own faults."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
import sentry_sdk

from benchmarks import web
from sandbox.sentry.model import ErrorEvent, SentryStore
from tests.conftest import Address, Start
from tests.sandbox.sentry.sentry_fixture import DEADLINE_SECONDS, Viewer, poll

LOGIN = "/api/v1/auth/login"


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def viewer(address: Address) -> Iterator[Viewer]:
    viewer = Viewer(address)
    yield viewer
    viewer.in_force()


@pytest.fixture
def scope(viewer: Viewer) -> Iterator[sentry_sdk.Scope]:
    client = sentry_sdk.Client(
        dsn=viewer.address["sentry"]["dsn"]["staging"],
        environment="staging",
        release="canary@1",
        traces_sample_rate=1.0,
        http_proxy="",
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    yield sentry_sdk.Scope(client=client)
    client.close(timeout=2)


def envelope(event: dict[str, object]) -> bytes:
    payload = json.dumps({"event_id": uuid4().hex, "environment": "staging", **event}).encode()
    return b'{}\n{"type":"event","length":%d}\n%s\n' % (len(payload), payload)


def send(viewer: Viewer, body: bytes, key: str | None = None, **headers: str) -> httpx.Response:
    dsn = httpx.URL(viewer.address["sentry"]["dsn"]["staging"])
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={key or dsn.username}, sentry_version=7"}
    url = f"{viewer.address['sentry']['url']}/api{dsn.path}/envelope/"
    return web.post(url, content=body, headers=auth | headers)


def test_a_canary_that_the_sdk_sends_becomes_visible(viewer: Viewer, scope: sentry_sdk.Scope) -> None:
    mark = uuid4().hex
    scope.set_tag("canary", mark)
    with sentry_sdk.scope.use_scope(scope):
        sentry_sdk.capture_message("canary", level="warning")
    poll(lambda: viewer.count("errors", "staging", f"canary:{mark}") == 1)
    (issue,) = viewer.issues(f"canary:{mark}", environment="staging")
    assert (issue["title"], issue["level"]) == ("canary", "warning")
    assert viewer.issues(f"canary:{mark}", environment="production") == []


def test_transactions_of_the_sdk_and_their_spans_are_counted(viewer: Viewer, scope: sentry_sdk.Scope) -> None:
    with (
        sentry_sdk.scope.use_scope(scope),
        sentry_sdk.start_transaction(op="task", name="nightly"),
        sentry_sdk.start_span(op="db", name="find"),
    ):
        pass
    poll(lambda: viewer.count("spans", "staging", "transaction:nightly") == 2)
    assert viewer.count("spans", "staging", "transaction:nightly is_transaction:true release:canary@1") == 1


def test_an_issue_is_of_one_stack_and_keeps_what_differs_apart(viewer: Viewer) -> None:
    for number in (1, 2):
        for kind in ("Late", "Later"):
            raised = {"type": kind, "value": f"after {number} s"}
            assert send(viewer, envelope({"exception": {"values": [raised]}})).status_code == 200
    for kind in ("Late", "Later"):
        (issue,) = viewer.issues(f"error.type:{kind}")
        assert issue["count"] == "2"


def test_the_fingerprint_of_the_sender_decides(viewer: Viewer) -> None:
    for kind in ("Flapping", "Other"):
        raised = {"type": kind, "value": "now and then"}
        send(viewer, envelope({"exception": {"values": [raised]}, "fingerprint": ["flap"]}))
    assert [issue["count"] for issue in viewer.issues("error.type:Flapping")] == ["2"]


def test_a_resolved_issue_that_comes_back_is_open_again_and_an_archived_one_is_not() -> None:
    store = SentryStore()
    event = ErrorEvent("0" * 32, datetime.now(UTC), "staging", "r", "error", "Flapping", "", "/")
    for before, after in (("resolved", "unresolved"), ("ignored", "ignored")):
        issue = store.add_error(event, before)
        issue.status = before  # type: ignore[assignment]
        store.add_error(event, before)
        assert issue.status == after


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"not json\n", {}, 400),
        (gzip.compress(b"{}\n"), {"Content-Encoding": "gzip"}, 200),
        (b"{}\n", {"Content-Encoding": "gzip"}, 400),
        (b"{}\n", {"Content-Encoding": "br"}, 415),
        (b'{}\n{"type":"event","length":999}\n{}\n', {}, 400),
        (b'{}\n{"type":"session"}\n{"sid":"1"}\n{"type":"client_report"}\n{}', {}, 200),
    ],
    ids=["not-json", "gzip", "no-gzip", "brotli", "cut-short", "other-items"],
)
def test_an_envelope_is_taken_if_it_is_one(viewer: Viewer, body: bytes, headers: dict[str, str], status: int) -> None:
    assert send(viewer, body, **headers).status_code == status


def test_a_wrong_key_is_refused(viewer: Viewer) -> None:
    assert send(viewer, envelope({"message": "hello"}), key="0" * 32).status_code == 403
    assert viewer.issues("message:hello") == []


def test_each_request_to_a_revision_is_a_transaction_of_its_release(viewer: Viewer) -> None:
    note = viewer.release("production")
    items = viewer.visit("production", "/api/v1/content").json()["items"]
    viewer.visit("production", f"/media/{items[0]['id']}.mp4")
    viewer.visit("production", "/nowhere")
    poll(lambda: viewer.count("spans", "production", f"release:{note['commit']} is_transaction:true") == 3)
    for query in (
        "transaction:/api/v1/content span.status:ok",
        "transaction:/media/{media_id}.mp4 span.status:ok",
        "span.status:not_found",
    ):
        assert viewer.count("spans", "production", f"release:{note['commit']} {query}") >= 1, query
    assert viewer.count("spans", "staging", f"release:{note['commit']}") == 0


@pytest.mark.parametrize(
    ("fault", "path", "type_"), [("login-broken", LOGIN, "HTTPException"), ("mongodb-down", LOGIN, "ServerSelection")]
)
def test_an_error_of_a_revision_is_reported_with_its_release(viewer: Viewer, fault: str, path: str, type_: str) -> None:
    note = viewer.release("production", fault)
    url = viewer.address["environments"]["production"]["url"]
    web.post(f"{url}{path}", json=viewer.address["smoke_user"], timeout=DEADLINE_SECONDS)
    poll(lambda: viewer.count("errors", "production", f"release:{note['commit']} error.type:{type_}*") == 1)
    poll(lambda: viewer.count("spans", "production", f"release:{note['commit']} span.status:internal_error") == 1)


def test_revisions_side_by_side_report_each_for_itself(viewer: Viewer) -> None:
    production, staging = viewer.release("production"), viewer.release("staging", "search-broken")
    for _ in range(3):
        viewer.visit("production", "/api/v1/search?q=news")
        viewer.visit("staging", "/api/v1/search?q=news")
    for environment, note, status in (("production", production, "ok"), ("staging", staging, "internal_error")):
        query = f"release:{note['commit']} span.status:{status}"
        poll(lambda query=query, environment=environment: viewer.count("spans", environment, query) == 3)  # type: ignore[misc]


def test_new_error_type_is_there_when_the_release_is_and_no_answer_shows_it(viewer: Viewer) -> None:
    before = viewer.titles("", environment="production")
    note = viewer.release("production", "new-error-type")
    new = viewer.issues(f"firstSeen:>={note['at']}", environment="production", sort="new")
    assert [issue["metadata"]["type"] for issue in new] == ["WatchProgressLostError"]
    assert (new[0]["level"], new[0]["priority"], new[0]["isUnhandled"]) == ("error", "medium", True)
    assert viewer.titles("", environment="production") - before == {"WatchProgressLostError"}
    tag = viewer.ask(f"/issues/{new[0]['id']}/tags/environment/")
    assert [value["value"] for value in tag["topValues"]] == ["production"]
    answers = [viewer.visit("production", "/api/v1/content").status_code for _ in range(6)]
    assert answers == [200] * 6
    poll(lambda: viewer.count("errors", "production", f"release:{note['commit']}") >= 3)


def test_new_error_type_in_staging_is_no_news_in_production(viewer: Viewer) -> None:
    note = viewer.release("staging", "new-error-type")
    (issue,) = viewer.issues(f"firstSeen:>={note['at']}", environment="staging")
    viewer.release("production", "new-error-type")
    poll(lambda: viewer.ask(f"/issues/{issue['id']}/tags/environment/")["uniqueValues"] == 2)


def test_critical_error_is_fatal_and_of_high_priority(viewer: Viewer) -> None:
    note = viewer.release("production", "critical-error")
    for query in ("level:fatal", "issue.priority:high"):
        asked = f"{query} firstSeen:>={note['at']}"
        assert viewer.titles(asked, environment="production") == {"EntitlementsCorruptedError"}


def test_sentry_down_answers_503_to_everybody_and_takes_nothing(viewer: Viewer) -> None:
    viewer.in_force("sentry-down")
    assert viewer.http.get("/issues/").status_code == 503
    assert web.get(f"{viewer.address['sentry']['url']}/api/0/").status_code == 503
    assert send(viewer, envelope({"message": "gone astray"})).status_code == 503
    assert viewer.visit("production", "/health").status_code == 200, "the service does not depend on it"
    viewer.in_force()
    assert viewer.issues("message:*astray") == []


def test_sentry_empty_finds_nothing_and_swallows_what_it_is_given(viewer: Viewer) -> None:
    viewer.in_force("sentry-empty")
    assert viewer.issues("") == []
    assert viewer.count("spans", "production") == 0
    assert len(viewer.ask("/projects/")) == 1, "that is no search"
    assert send(viewer, envelope({"message": "swallowed"})).status_code == 200
    viewer.in_force()
    assert viewer.issues("message:swallowed") == []
    assert viewer.issues("") != []


def test_a_release_does_not_wait_for_a_sentry_that_is_down(viewer: Viewer) -> None:
    note = viewer.release("production", "new-error-type", "sentry-down")
    viewer.in_force()
    assert viewer.count("errors", "production", f"release:{note['commit']}") == 0
