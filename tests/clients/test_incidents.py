"""Open incidents: known when somebody says so, ruled out only when all sources do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import web
from tests.clients.hostile import Conversation, Script, hostile
from tests.conftest import Address
from verification.clients.incidents import IncidentAnswers, OpenIncident, pagerduty_incidents, statuspage_incidents
from verification.errors import NotPermitted, ObserverError, ServiceError
from verification.local_sandbox.sandbox import Sandbox
from verification.probes.incidents import OpenIncidents, find_incidents
from verification.settings.observers import (
    GitHubSettings,
    Incidents,
    PagerDutyIncidents,
    SlackSettings,
    StatuspageIncidents,
)

Plant = Callable[[str, dict[str, object]], None]


@pytest.fixture(scope="module")
def address(sandbox: Sandbox) -> Address:
    document: Address = web.get(sandbox.addresses.operator, timeout=20).json()
    return document


@pytest.fixture
def plant(address: Address) -> Iterator[Plant]:
    def put(what: str, how: dict[str, object]) -> None:
        web.post(f"{address['operator']}/plant", json={what: how}, timeout=20).raise_for_status()

    yield put
    web.delete(f"{address['operator']}/plant", timeout=20).raise_for_status()


@pytest.fixture
def github_down(address: Address) -> Iterator[None]:
    for faults in (["github-down"], []):
        web.put(f"{address['operator']}/faults", json={"faults": faults}, timeout=20).raise_for_status()
        if faults:
            yield


def find(address: Address, *sources: str, **variables: str) -> OpenIncidents:
    every: dict[str, dict[str, object]] = {
        "github": {},
        "pagerduty": {"url": address["pagerduty"]["url"]},
        "statuspage": {"url": address["statuspage"]["url"]},
        "slack": {},
    }
    tokens = {f"{one.upper()}_TOKEN": address[one]["token"] for one in ("github", "pagerduty")}
    tokens["SLACK_BOT_TOKEN"] = address["slack"]["token"]
    slack_url = f"{address['slack']['url']}/api"
    return find_incidents(
        Incidents.model_validate({one: every[one] for one in sources or every}),
        GitHubSettings(url=address["github"]["url"], repository=address["github"]["repository"], workflow="Deploy"),
        SlackSettings(url=slack_url, deployments="#deployments", incidents="#incidents"),
        {**tokens, **variables},
    )


def test_none_is_open_when_all_sources_say_so(address: Address) -> None:
    found = find(address)
    found.must_be_none()
    assert set(found.asked.found) == {"GitHub", "PagerDuty", "Statuspage"}


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("github_issue", {"title": "Search is down", "labels": ["bug", "P1"]}),
        ("pagerduty_incident", {"title": "Search is down"}),
        ("statuspage_incident", {"name": "Search is down"}),
    ],
)
def test_an_open_incident_of_any_source_is_bad_and_listed(
    address: Address, plant: Plant, what: str, how: dict[str, object]
) -> None:
    plant(what, how)
    found = find(address)
    with pytest.raises(ServiceError, match="Search is down") as caught:
        found.must_be_none()
    assert "http" in caught.value.cause
    assert found.count.value == 1


def test_an_issue_without_a_critical_label_is_none(address: Address, plant: Plant) -> None:
    plant("github_issue", {"title": "A typo", "labels": ["P3"]})
    find(address).must_be_none()


def test_an_issue_with_two_labels_is_one_incident(address: Address, plant: Plant) -> None:
    plant("github_issue", {"title": "Search is down", "labels": ["P0", "P1"]})
    assert find(address, "github").count.value == 1


def test_slack_advises_and_decides_nothing(address: Address, plant: Plant) -> None:
    plant("slack_message", {"channel": "#incidents", "text": "p0! search is down"})
    plant("slack_message", {"channel": "#incidents", "text": "the STEP01 job is slow"})
    found = find(address)
    found.must_be_none()
    assert found.advice is not None
    assert "p0! search is down" in found.advice.note
    assert "STEP01" not in found.advice.note


def test_slack_that_is_silent_decides_nothing_either(address: Address) -> None:
    found = find(address, SLACK_BOT_TOKEN="")
    found.must_be_none()
    assert found.advice is not None
    assert found.advice.value is None
    assert "SLACK_BOT_TOKEN" in found.advice.note


@pytest.mark.usefixtures("github_down")
def test_one_source_down_and_no_incident_elsewhere_is_unknown_and_named(address: Address) -> None:
    found = find(address)
    with pytest.raises(ObserverError, match=r"GitHub does not tell.*503"):
        found.must_be_none()
    assert found.count.value is None


@pytest.mark.usefixtures("github_down")
def test_one_source_down_and_an_incident_elsewhere_is_bad(address: Address, plant: Plant) -> None:
    plant("pagerduty_incident", {"title": "Search is down"})
    with pytest.raises(ServiceError, match=r"Search is down.*GitHub does not tell"):
        find(address).must_be_none()


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "PAGERDUTY_TOKEN"])
@pytest.mark.parametrize("token", ["", "nobodys-token"])
def test_a_token_that_is_missing_or_refused_is_unknown_and_named(address: Address, variable: str, token: str) -> None:
    with pytest.raises(ObserverError) as caught:
        find(address, **{variable: token}).must_be_none()
    assert variable in str(caught.value)


def test_no_source_is_never_no_incident() -> None:
    with pytest.raises(ObserverError, match="no source"):
        OpenIncidents(IncidentAnswers({}, {})).must_be_none()


def test_slack_alone_is_no_source() -> None:
    with pytest.raises(ValueError, match="no message in Slack"):
        Incidents.model_validate({"slack": {}})


def test_a_repository_that_is_not_configured_is_a_silent_source(address: Address) -> None:
    found = find_incidents(Incidents.model_validate({"github": {}}), None, None, {})
    with pytest.raises(ObserverError, match="github is not configured"):
        found.must_be_none()


def incident(number: int, **changed: Any) -> str:
    given = {"id": str(number), "title": "T", "status": "triggered", "urgency": "high", "service": {"id": "S1"}}
    return json.dumps({**given, **changed})


def pagerduty(script: Script, **settings: object) -> list[OpenIncident]:
    with hostile(script) as server:
        wanted = PagerDutyIncidents.model_validate({"url": server.url, **settings})
        return pagerduty_incidents(wanted, 5, {"PAGERDUTY_TOKEN": "pd-token-1"})


@pytest.mark.parametrize(
    ("changed", "settings", "counts"),
    [
        ({}, {}, True),
        ({"urgency": "low"}, {}, False),
        ({"urgency": "low"}, {"urgencies": ["low"]}, True),
        ({"priority": {"summary": "P1"}, "urgency": "low"}, {}, True),
        ({"priority": {"summary": "P4"}}, {}, False),
        ({"priority": {"summary": "SEV-1"}}, {"priorities": ["SEV-1"]}, True),
        ({"status": "resolved"}, {}, False),
        ({}, {"services": ["S1"]}, True),
        ({}, {"services": ["S2"]}, False),
    ],
)
def test_pagerduty_is_filtered_on_our_side(changed: dict[str, Any], settings: dict[str, Any], counts: bool) -> None:
    body = f'{{"incidents": [{incident(1, **changed)}], "more": false}}'.encode()
    assert len(pagerduty(lambda one: one.answer(body), **settings)) == counts


def test_pagerduty_is_read_to_the_last_page() -> None:
    def script(one: Conversation) -> None:
        more = str(one.number < 3).lower()
        one.answer(f'{{"incidents": [{incident(one.number)}], "more": {more}}}'.encode())

    assert len(pagerduty(script)) == 3


@pytest.mark.parametrize(("impact", "status", "counts"), [
    ("critical", "investigating", True), ("minor", "identified", False), ("major", "resolved", False),
])  # fmt: skip
def test_a_statuspage_incident_counts_by_its_impact(impact: str, status: str, counts: bool) -> None:
    body = f'{{"incidents": [{{"name": "T", "status": "{status}", "impact": "{impact}"}}]}}'.encode()
    with hostile(lambda one: one.answer(body)) as server:
        assert len(statuspage_incidents(StatuspageIncidents(url=server.url), 5)) == counts


def test_a_source_that_answers_nonsense_is_silent(address: Address) -> None:
    with hostile(lambda one: one.answer(b'{"message": "hello"}')) as server:
        settings = Incidents.model_validate({"statuspage": {"url": server.url}})
        with pytest.raises(ObserverError, match=r"Statuspage does not tell.*unexpected shape"):
            find_incidents(settings, None, None, {}).must_be_none()


def test_a_refusal_stays_a_refusal() -> None:
    with pytest.raises(NotPermitted):
        pagerduty(lambda one: one.answer(b"{}", "401 Unauthorized"))
