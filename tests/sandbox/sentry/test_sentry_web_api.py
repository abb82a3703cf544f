"""Sentry's Web API over the past that every sandbox starts with."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

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


def test_failure_rate_counts_refusals_as_failures(viewer: Viewer) -> None:
    asked = {"dataset": "spans", "field": "failure_rate()", "statsPeriod": "24h", "environment": "staging"}
    found = viewer.ask("/events/", query="is_transaction:true", **asked)
    assert 0.015 < found["data"][0]["failure_rate()"] < 0.03
    assert found["meta"]["fields"] == {"failure_rate()": "percentage"}


def test_a_window_of_fifteen_minutes_is_counted_and_one_without_events_is_zero(viewer: Viewer) -> None:
    window = {"start": ago(minutes=60), "end": ago(minutes=45)}
    assert viewer.count("spans", "production", "is_transaction:true", **window) == 3 * 120
    past = {"start": ago(days=80), "end": ago(days=79)}
    assert viewer.count("spans", "production", **past) == 0


def test_fields_group_the_table_and_sort_orders_it(viewer: Viewer) -> None:
    asked = {"dataset": "errors", "field": ["environment", "count()"], "statsPeriod": "24h", "sort": "-count()"}
    lines = viewer.ask("/events/", **asked)["data"]
    assert [line["environment"] for line in lines] == ["production", "staging"]
    assert lines[1]["count()"] == viewer.count("errors", "staging")


def test_the_time_series_adds_up_to_the_table(viewer: Viewer) -> None:
    window = {"start": ago(hours=6), "end": ago(hours=1)}
    asked = {"dataset": "errors", "yAxis": "count()", "interval": "15m", "environment": "production", **window}
    series = viewer.ask("/events-timeseries/", **asked)["timeSeries"][0]
    assert series["meta"]["interval"] == 900_000
    assert sum(point["value"] for point in series["values"]) == viewer.count("errors", "production", **window) > 0


def test_without_a_query_neither_archived_nor_resolved_nor_unimportant_issues_show(viewer: Viewer) -> None:
    everything, shown = viewer.titles(""), viewer.titles()
    assert everything - shown == {"ValueError", "UnicodeDecodeError", "AutoReconnect"}
    assert viewer.titles("is:archived") == {"ValueError"}
    assert viewer.titles("is:resolved") == {"UnicodeDecodeError"}


def test_no_issue_of_the_past_is_new_though_one_has_high_priority(viewer: Viewer) -> None:
    for environment in ("staging", "production"):
        assert viewer.issues(f"firstSeen:>={ago(days=1)}", environment=environment, sort="new") == []
        assert viewer.issues("firstSeen:-24h", environment=environment) == []
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
    root = viewer.address["sentry"]["url"]
    same = viewer.http.get(f"{root}/api/0/issues/{by_type['AutoReconnect']['id']}/tags/environment/").json()
    assert [value["value"] for value in same["topValues"]] == ["production"]
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
        ("/issues/", {"query": "is:cute"}, 400, 'status value of "cute"'),
        ("/issues/", {"query": "level:fatal OR level:error"}, 400, "Boolean"),
        ("/issues/", {"sort": "inbox"}, 400, "sort"),
        ("/issues/", {"limit": "500"}, 400, "limit"),
        ("/issues/", {"environment": "moon"}, 404, "does not exist"),
        ("/issues/", {"project": "bayit-plus-backend"}, 400, "numbers"),
        ("/issues/", {"project": "77"}, 403, "permission"),
        ("/events/", {"dataset": "transactions", "field": "count()"}, 400, "dataset"),
        ("/events/", {"dataset": "errors", "field": "p95()"}, 400, "p95()"),
        ("/events/", {"dataset": "errors"}, 400, "fields"),
        ("/events/", {"dataset": "errors", "field": "count()", "statsPeriod": "a while"}, 400, "statsPeriod"),
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
    assert viewer.ask("/")["slug"] == viewer.address["sentry"]["organization"]
    (project,) = viewer.ask("/projects/")
    assert project["slug"] == viewer.address["sentry"]["project"]
    everything = viewer.count("errors", "production")
    assert viewer.count("errors", "production", project=project["id"]) == everything
    assert viewer.count("errors", "production", project=-1) == everything


def test_a_release_is_created_once_and_takes_deploys(viewer: Viewer) -> None:
    wanted = {"version": "backend@1.2+3", "projects": [viewer.address["sentry"]["project"]], "ref": "abc"}
    assert [viewer.http.post("/releases/", json=wanted).status_code for _ in range(2)] == [201, 208]
    deploy = {"environment": "production", "name": "42"}
    created = viewer.http.post("/releases/backend@1.2%2B3/deploys/", json=deploy)
    assert (created.status_code, created.json()["environment"]) == (201, "production")
    assert viewer.ask("/releases/backend@1.2%2B3/")["lastDeploy"]["name"] == "42"
    assert len(viewer.ask("/releases/backend@1.2%2B3/deploys/")) == 1
    assert viewer.http.post("/releases/unheard-of/deploys/", json=deploy).status_code == 404
    assert viewer.http.post("/releases/backend@1.2%2B3/deploys/", json={}).json()["environment"]
    assert viewer.http.post("/releases/", json={"version": "x"}).json() == {"projects": ["This field is required."]}
    assert viewer.http.post("/releases/", json={**wanted, "projects": ["other"]}).status_code == 400


def test_without_a_token_401_and_with_a_narrow_one_403(viewer: Viewer) -> None:
    url = f"{viewer.http.base_url}issues/"
    assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Bearer wrong"}, trust_env=False).status_code == 401
    token = viewer.operator.post("/sentry/tokens", json={"scopes": ["org:read"]}).json()["token"]
    narrow = Viewer(viewer.address, token)
    assert narrow.http.get("/issues/").status_code == 403
    assert narrow.http.post("/releases/", json={"version": "x"}).status_code == 403
    assert narrow.http.get("/projects/").status_code == 200
    assert viewer.operator.post("/sentry/tokens", json={"scopes": ["root"]}).status_code == 422


def test_above_the_rate_limit_it_answers_429_until_the_time_in_the_header(viewer: Viewer) -> None:
    limit = {"requests": 2, "window_seconds": 1}
    assert viewer.operator.put("/sentry/rate-limit", json=limit).status_code == 200
    try:
        answers = [viewer.http.get("/projects/") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "Retry-After" not in answers[2].headers
        assert answers[2].headers["X-Sentry-Rate-Limit-Remaining"] == "0"
        reset = int(answers[2].headers["X-Sentry-Rate-Limit-Reset"])
        time.sleep(max(0.0, reset - time.time()))
        assert viewer.http.get("/projects/").status_code == 200
    finally:
        viewer.operator.put("/sentry/rate-limit", json={"requests": 1000, "window_seconds": 1})
    assert viewer.operator.put("/sentry/rate-limit", json={"requests": "few"}).status_code == 422
