"""Sentry's Web API over the past that every sandbox starts with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks import web
from tests.conftest import Address, Start
from tests.sandbox.sentry.sentry_fixture import Viewer


@pytest.fixture(scope="module")
def address(start_sandbox: Start) -> Address:
    return start_sandbox()


@pytest.fixture
def viewer(address: Address) -> Viewer:
    return Viewer(address)


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_past_day_has_an_error_rate_well_below_one_percent(viewer: Viewer, environment: str) -> None:
    transactions = viewer.count("spans", environment, "is_transaction:true")
    assert transactions > 8000
    assert 0.001 < viewer.count("errors", environment) / transactions < 0.003


def test_spans_that_are_no_transactions_are_counted_too_unless_left_out(viewer: Viewer) -> None:
    assert viewer.count("spans", "staging") > 2 * viewer.count("spans", "staging", "is_transaction:true")


def test_a_window_of_fifteen_minutes_is_counted_and_one_without_events_is_zero(viewer: Viewer) -> None:
    window = {"start": ago(minutes=60), "end": ago(minutes=45)}
    assert viewer.count("spans", "production", "is_transaction:true", **window) == 3 * 120
    past = {"start": ago(days=80), "end": ago(days=79)}
    assert viewer.count("spans", "production", **past) == 0


def test_without_a_query_neither_archived_nor_resolved_issues_show(viewer: Viewer) -> None:
    everything, shown = viewer.titles(""), viewer.titles()
    assert everything - shown == {"ValueError", "UnicodeDecodeError"}
    assert viewer.titles("is:ignored") == {"ValueError"}
    assert viewer.titles("is:resolved") == {"UnicodeDecodeError"}


def test_no_issue_of_the_past_is_new_though_one_has_high_priority(viewer: Viewer) -> None:
    for environment in ("staging", "production"):
        assert viewer.issues(f"firstSeen:>={ago(days=1)}", environment=environment, sort="new") == []
        assert viewer.titles("issue.priority:high", environment=environment) == {"ConnectionResetError"}


def test_environments_narrow_issues_and_their_figures(viewer: Viewer) -> None:
    assert viewer.titles("", environment="production") - viewer.titles("", environment="staging") == {
        "AutoReconnect",
        "ValueError",
    }
    both = viewer.issues("error.type:KeyError")[0]
    parts = [viewer.issues("error.type:KeyError", environment=name)[0] for name in ("staging", "production")]
    assert sum(int(part["count"]) for part in parts) == int(both["count"])
    assert min(part["firstSeen"] for part in parts) == both["firstSeen"]


def test_the_environment_tag_says_where_an_issue_was_seen(viewer: Viewer) -> None:
    by_type = {issue["metadata"]["type"]: issue for issue in viewer.issues("")}
    tag = viewer.ask(f"/issues/{by_type['KeyError']['id']}/tags/environment/")
    assert {value["value"] for value in tag["topValues"]} == {"staging", "production"}
    assert tag["totalValues"] == int(by_type["KeyError"]["count"])
    other = viewer.ask(f"/issues/{by_type['AutoReconnect']['id']}/tags/environment/")
    assert [value["value"] for value in other["topValues"]] == ["production"]
    assert viewer.http.get("/issues/1/tags/environment/").status_code == 404


def test_the_newest_come_first_and_pages_lead_through_all_of_them(viewer: Viewer) -> None:
    seen: list[dict[str, Any]] = []
    response = viewer.http.get("/issues/", params={"query": "", "sort": "new", "limit": 4})
    pages = 1
    while True:
        seen += response.json()
        following = response.links["next"]
        if following["results"] == "false":
            break
        assert pages < 5
        assert f"cursor={following['cursor'].replace(':', '%3A')}" in following["url"]
        response = viewer.http.get(following["url"])
        pages += 1
    assert (pages, len(seen)) == (2, 6)
    assert len({issue["id"] for issue in seen}) == 6
    assert [issue["firstSeen"] for issue in seen] == sorted((issue["firstSeen"] for issue in seen), reverse=True)


def test_a_token_that_is_not_known_is_taken_for_a_tag_that_nothing_carries(viewer: Viewer) -> None:
    assert viewer.issues("severity.class:P0") == []
    assert viewer.count("errors", "production", "severity.class:P0") == 0
    assert len(viewer.issues("!severity.class:P0")) == len(viewer.issues("level:error"))


@pytest.mark.parametrize(
    ("path", "parameters", "status", "words"),
    [
        ("/issues/", {"query": "firstSeen:>=soon"}, 400, "Invalid date: soon"),
        ("/issues/", {"query": "level:fatal OR level:error"}, 400, "OR: "),
        ("/issues/", {"query": "level:[fatal,error]"}, 400, "key:value"),
        ("/issues/", {"sort": "inbox"}, 400, "sort"),
        ("/issues/", {"limit": "500"}, 400, "limit"),
        ("/issues/", {"environment": "moon"}, 404, "does not exist"),
        ("/issues/", {"project": "bayit-plus-backend"}, 400, "numbers"),
        ("/issues/", {"project": "77"}, 403, "permission"),
        ("/events/", {"dataset": "transactions", "field": "count()"}, 400, "dataset"),
        ("/events/", {"dataset": "errors", "field": "p95()"}, 400, "count()"),
        ("/events/", {"dataset": "errors"}, 400, "fields"),
        ("/events/", {"dataset": "errors", "field": "count()", "start": "2026-01-01"}, 400, "both required"),
        ("/nonsense/", {}, 404, "Not found"),
    ],
)
def test_what_it_cannot_answer_is_refused(
    viewer: Viewer, path: str, parameters: dict[str, str], status: int, words: str
) -> None:
    response = viewer.http.get(path, params=parameters)
    assert response.status_code == status
    assert words in response.json()["detail"]


def test_the_project_is_listed_with_the_number_that_searches_want(viewer: Viewer) -> None:
    (project,) = viewer.ask("/projects/")
    assert project["slug"] == viewer.address["sentry"]["project"]
    everything = viewer.count("errors", "production")
    assert viewer.count("errors", "production", project=project["id"]) == everything
    assert viewer.count("errors", "production", project=-1) == everything


def test_a_release_is_created_once_and_takes_deploys(viewer: Viewer) -> None:
    wanted = {"version": "backend@1.2+3", "projects": [viewer.address["sentry"]["project"]]}
    assert [viewer.http.post("/releases/", json=wanted).status_code for _ in range(2)] == [201, 208]
    deploy = {"environment": "production", "name": "42"}
    created = viewer.http.post("/releases/backend@1.2%2B3/deploys/", json=deploy)
    assert (created.status_code, created.json()["environment"]) == (201, "production")
    assert [found["name"] for found in viewer.ask("/releases/backend@1.2%2B3/deploys/")] == ["42"]
    assert viewer.http.post("/releases/unheard-of/deploys/", json=deploy).status_code == 404
    assert viewer.http.post("/releases/backend@1.2%2B3/deploys/", json={}).json()["environment"]
    assert viewer.http.post("/releases/", json={"version": "x"}).json() == {"projects": ["This field is required."]}
    assert viewer.http.post("/releases/", json={**wanted, "projects": ["other"]}).status_code == 400


def test_without_a_token_401_and_with_a_narrow_one_403(viewer: Viewer) -> None:
    url = f"{viewer.http.base_url}issues/"
    assert web.get(url).status_code == 401
    assert web.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    narrow = Viewer(viewer.address, viewer.address["sentry"]["token_without_scope"])
    assert narrow.http.get("/issues/").status_code == 403
    assert narrow.http.post("/releases/", json={"version": "x"}).status_code == 403
    assert narrow.http.get("/projects/").status_code == 200
