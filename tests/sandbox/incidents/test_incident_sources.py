"""PagerDuty, Statuspage, and what an operator plants in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks import web
from tests.conftest import Address, Start

OPEN = {"statuses[]": ["triggered", "acknowledged"]}


@pytest.fixture(scope="module")
def sandbox(start_sandbox: Start) -> Address:
    """A sandbox of this module's own: what other tests report to PagerDuty is no part of these."""
    return start_sandbox()


@pytest.fixture
def operator(sandbox: Address) -> Iterator[httpx.Client]:
    with web.Client(base_url=sandbox["operator"], timeout=20) as client:
        yield client
        client.delete("/plant").raise_for_status()


@pytest.fixture
def pagerduty(sandbox: Address, operator: httpx.Client) -> Iterator[httpx.Client]:
    headers = {
        "Authorization": f"Token token={sandbox['pagerduty']['token']}",
        "Accept": "application/vnd.pagerduty+json;version=2",
    }
    with web.Client(base_url=sandbox["pagerduty"]["url"], headers=headers, timeout=20) as client:
        yield client


@pytest.fixture
def statuspage(sandbox: Address, operator: httpx.Client) -> Iterator[httpx.Client]:
    with web.Client(base_url=sandbox["statuspage"]["url"], timeout=20) as client:
        yield client


def plant(operator: httpx.Client, kind: str, **fields: Any) -> Any:
    return operator.post("/plant", json={kind: fields}).raise_for_status().json()["planted"][kind]


def incidents(pagerduty: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        pagerduty.get("/incidents", params=OPEN | asked).raise_for_status().json()["incidents"]
    )
    return found


def unresolved(statuspage: httpx.Client) -> list[dict[str, Any]]:
    answer = statuspage.get("/api/v2/incidents/unresolved.json").raise_for_status().json()
    assert answer["page"]["name"] == "Bayit+"
    found: list[dict[str, Any]] = answer["incidents"]
    return found


def test_at_the_start_nothing_urgent_is_open_at_pagerduty(pagerduty: httpx.Client) -> None:
    found = incidents(pagerduty, **{"include[]": "priorities"})
    assert [(incident["priority"]["name"], incident["status"]) for incident in found] == [("P4", "acknowledged")]


def test_a_planted_alarm_is_open_until_it_is_taken_back(pagerduty: httpx.Client, operator: httpx.Client) -> None:
    planted = plant(operator, "pagerduty_incident", title="Login is down", priority="P1")
    alarm = incidents(pagerduty, **{"include[]": "priorities"})[-1]
    assert (alarm["id"], alarm["title"], alarm["priority"]["name"]) == (planted["id"], "Login is down", "P1")
    assert alarm["summary"] == f"[#{planted['number']}] Login is down"
    assert alarm["status"] == "triggered"
    operator.delete("/plant").raise_for_status()
    assert planted["id"] not in {incident["id"] for incident in incidents(pagerduty)}
    assert planted["id"] in {incident["id"] for incident in incidents(pagerduty, **{"statuses[]": "resolved"})}


def test_a_priority_is_a_reference_unless_it_is_included_and_may_be_missing(
    pagerduty: httpx.Client, operator: httpx.Client
) -> None:
    plant(operator, "pagerduty_incident", title="Graded", priority="P2")
    plant(operator, "pagerduty_incident", title="Nobody graded this", priority="")
    graded, ungraded = incidents(pagerduty)[-2:]
    assert (graded["priority"]["type"], graded["priority"]["summary"]) == ("priority_reference", "P2")
    assert "name" not in graded["priority"]
    assert ungraded["priority"] is None


def test_alarms_come_in_pages_and_say_whether_there_are_more(pagerduty: httpx.Client, operator: httpx.Client) -> None:
    planted = [plant(operator, "pagerduty_incident", title=str(number))["id"] for number in range(3)]
    seen, offset, more = [], 0, True
    while more:
        answer = pagerduty.get("/incidents", params=OPEN | {"limit": 2, "offset": offset}).json()
        assert (answer["limit"], answer["offset"], answer["total"]) == (2, offset, None)
        seen += [incident["id"] for incident in answer["incidents"]]
        offset, more = offset + 2, answer["more"]
    assert seen[-3:] == planted
    assert len(seen) == len(set(seen)) == 4


def test_an_old_alarm_is_listed_only_when_all_dates_are_asked_for(
    pagerduty: httpx.Client, operator: httpx.Client
) -> None:
    old = plant(operator, "pagerduty_incident", title="Still open", days_old=45)["id"]
    assert old not in {incident["id"] for incident in incidents(pagerduty)}
    assert old in {incident["id"] for incident in incidents(pagerduty, date_range="all")}


def test_a_status_filters(pagerduty: httpx.Client, operator: httpx.Client) -> None:
    low = plant(operator, "pagerduty_incident", title="Low", urgency="low", status="acknowledged")["id"]
    assert low in {incident["id"] for incident in incidents(pagerduty)}
    assert low not in {incident["id"] for incident in incidents(pagerduty, **{"statuses[]": "triggered"})}


@pytest.mark.parametrize("asked", [{"statuses[]": "open"}, {"limit": "many"}])
def test_a_question_that_pagerduty_does_not_understand_is_refused(
    pagerduty: httpx.Client, asked: dict[str, Any]
) -> None:
    response = pagerduty.get("/incidents", params=asked)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == 2001
    assert response.json()["error"]["errors"]


@pytest.mark.parametrize("header", ["", "Token token=stale", "Bearer {token}"])
def test_pagerduty_wants_its_token_in_its_own_way(sandbox: Address, header: str) -> None:
    headers = {"Authorization": header.format(token=sandbox["pagerduty"]["token"])} if header else {}
    response = web.get(f"{sandbox['pagerduty']['url']}/incidents", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, 2006)


def test_what_pagerduty_does_not_have_is_not_found(pagerduty: httpx.Client) -> None:
    assert pagerduty.get("/nonsense").status_code == 404


def test_a_planted_notice_is_unresolved_until_it_is_taken_back(
    statuspage: httpx.Client, operator: httpx.Client
) -> None:
    assert unresolved(statuspage) == []
    first = plant(operator, "statuspage_incident", name="Search is slow", impact="minor", status="monitoring")
    second = plant(operator, "statuspage_incident", name="Nobody can log in")
    found = unresolved(statuspage)
    assert [(notice["id"], notice["impact"]) for notice in found] == [
        (second["id"], "critical"),
        (first["id"], "minor"),
    ]
    assert found[0]["status"] == "investigating"
    operator.delete("/plant").raise_for_status()
    assert unresolved(statuspage) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{oops", "JSON"),
        (b'{"jira_issue": {}}', "jira_issue"),
        (b'{"github_issue": {"labels": ["P0"]}}', "github_issue.title"),
        (b'{"github_issue": {"title": "x", "colour": "red"}}', "github_issue.colour"),
        (b'{"statuspage_incident": {"name": "x", "impact": "awful"}}', "statuspage_incident.impact"),
        (b'{"slack_message": {"text": "x", "channel": "nowhere"}}', "no channel 'nowhere'"),
    ],
)
def test_what_cannot_be_planted_is_named(operator: httpx.Client, body: bytes, words: str) -> None:
    response = operator.post("/plant", content=body)
    assert response.status_code == 422
    assert words in response.json()["error"]


def test_nothing_is_planted_by_halves(operator: httpx.Client, statuspage: httpx.Client) -> None:
    both = {"statuspage_incident": {"name": "x"}, "slack_message": {"text": "x", "channel": "nowhere"}}
    assert operator.post("/plant", json=both).status_code == 422
    assert unresolved(statuspage) == []
