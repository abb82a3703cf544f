"""GitHub Actions, as its clients see it: dispatches, runs that really deploy or roll back, jobs, cancelling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks import web
from tests.conftest import Address

WITHIN = 20.0
WORKFLOW = "/actions/workflows/deploy-production.yml"


class Actions:
    """A client with a token, and the sandbox's operator."""

    def __init__(self, sandbox: Address) -> None:
        there = sandbox["github"]
        self.sandbox = sandbox
        self.api = web.Client(
            base_url=f"{there['url']}/repos/{there['repository']}",
            headers={"Authorization": f"Bearer {there['token']}"},
            trust_env=False,
            timeout=WITHIN,
        )

    def dispatch(self, **inputs: str) -> int:
        answer = self.api.post(
            f"{WORKFLOW}/dispatches", json={"ref": "main", "inputs": inputs, "return_run_details": True}
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["run_url"].endswith(f"/actions/runs/{body['workflow_run_id']}")
        number: int = body["workflow_run_id"]
        return number

    def ended(self, run: int) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN
        while True:
            found: dict[str, Any] = self.api.get(f"/actions/runs/{run}").raise_for_status().json()
            if found["status"] == "completed":
                return found
            assert time.monotonic() < deadline, "the run does not end"
            time.sleep(0.02)

    def jobs(self, run: int) -> dict[str, str]:
        found = self.api.get(f"/actions/runs/{run}/jobs").raise_for_status().json()["jobs"]
        return {one["name"]: one["conclusion"] for one in found}

    def faults(self, *names: str) -> None:
        web.put(f"{self.sandbox['operator']}/faults", json={"faults": list(names)}).raise_for_status()

    def note(self) -> dict[str, str]:
        found: dict[str, str] = web.get(self.sandbox["operator"]).json()["environments"]["production"]["deployment"]
        return found

    @property
    def service(self) -> str:
        there = self.sandbox
        name = there["environments"]["production"]["service"]
        return (
            f"{there['cloud_run']['rest']}/v2/projects/{there['project']}/locations/{there['region']}/services/{name}"
        )

    def follow_latest(self) -> None:
        """As it was found."""
        everything = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
        answer = web.patch(self.service, params={"updateMask": "traffic"}, json={"traffic": everything})
        operation = answer.raise_for_status().json()["name"]
        deadline = time.monotonic() + WITHIN
        while not web.get(f"{self.sandbox['cloud_run']['rest']}/v2/{operation}").json().get("done"):
            assert time.monotonic() < deadline, "the traffic does not settle"
            time.sleep(0.02)

    def serving(self) -> str:
        document = web.get(self.service).raise_for_status().json()
        latest = document["latestReadyRevision"].rpartition("/")[2]
        (line,) = [one for one in document["trafficStatuses"] if one.get("percent")]
        return str(line.get("revision") or latest)


@pytest.fixture
def actions(sandbox: Address) -> Iterator[Actions]:
    made = Actions(sandbox)
    yield made
    made.faults()
    made.follow_latest()
    made.api.close()


def test_a_dispatched_deployment_deploys_and_one_with_a_revision_goes_back(actions: Actions) -> None:
    before = actions.note()["current"]
    run = actions.dispatch(staging_verification="true")
    assert actions.ended(run)["conclusion"] == "success"
    assert actions.jobs(run) == dict.fromkeys(("validate-inputs", "build", "deploy", "health-check"), "success")
    deployed = actions.note()["current"]
    assert deployed != before
    back = actions.dispatch(rollback_revision=before, staging_verification="false", correlation_id="abc-1")
    ended = actions.ended(back)
    assert (ended["conclusion"], ended["event"]) == ("success", "workflow_dispatch")
    assert ended["display_title"] == f"Roll back to {before} [abc-1]"
    assert actions.jobs(back)["build"] == "skipped"
    assert actions.serving() == before


@pytest.mark.parametrize(
    ("faults", "inputs", "red"),
    [
        ((), {"staging_verification": "false"}, "validate-inputs"),
        (("rollback-fails",), {"rollback_revision": "CURRENT"}, "deploy"),
        (("cloud-run-down",), {"rollback_revision": "CURRENT"}, "deploy"),
        ((), {"rollback_revision": "bayit-plus-backend-99999-zzz"}, "deploy"),
    ],
)
def test_runs_are_red_where_something_fails(
    faults: tuple[str, ...], inputs: dict[str, str], red: str, actions: Actions
) -> None:
    named = {name: actions.note()["current"] if value == "CURRENT" else value for name, value in inputs.items()}
    actions.faults(*faults)
    run = actions.dispatch(**named)
    assert actions.ended(run)["conclusion"] == "failure"
    assert [name for name, conclusion in actions.jobs(run).items() if conclusion == "failure"] == [red]


def test_without_the_flag_the_answer_names_no_run_but_the_list_does(actions: Actions) -> None:
    answer = actions.api.post(f"{WORKFLOW}/dispatches", json={"ref": "main", "inputs": {}})
    assert (answer.status_code, answer.content) == (204, b"")
    listed = actions.api.get(f"{WORKFLOW}/runs", params={"event": "workflow_dispatch", "per_page": 1}).json()
    assert listed["total_count"] >= 1
    assert actions.ended(listed["workflow_runs"][0]["id"])["conclusion"] == "failure"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": {}}, '"ref" wasn\'t supplied'),
        ({"ref": "nowhere"}, "No ref found for: nowhere"),
        ({"ref": "main", "inputs": {"force": "yes"}}, "Unexpected inputs provided"),
    ],
)
def test_a_dispatch_that_cannot_be_is_refused(body: dict[str, Any], message: str, actions: Actions) -> None:
    answer = actions.api.post(f"{WORKFLOW}/dispatches", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["message"]


def test_a_run_that_waits_can_be_cancelled_and_one_that_has_ended_not(actions: Actions) -> None:
    actions.faults("workflow-hangs")
    run = actions.dispatch(rollback_revision=actions.note()["previous"])
    assert actions.api.get(f"/actions/runs/{run}").json()["status"] == "queued"
    assert actions.api.post(f"/actions/runs/{run}/cancel").status_code == 202
    assert actions.ended(run)["conclusion"] == "cancelled"
    assert actions.api.post(f"/actions/runs/{run}/cancel").status_code == 409


def test_the_workflow_is_known_by_id_and_by_file_and_no_other_is(actions: Actions) -> None:
    (workflow,) = actions.api.get("/actions/workflows").json()["workflows"]
    assert workflow["name"] == "Deploy to Production"
    listed = [actions.api.get(f"/actions/workflows/{known}/runs") for known in (workflow["id"], workflow["path"][18:])]
    assert listed[0].raise_for_status().json() == listed[1].json()
    assert actions.api.get("/actions/workflows/other.yml/runs").status_code == 404


# PagerDuty's events


def enqueue(sandbox: Address, **changes: Any) -> httpx.Response:
    event = {
        "routing_key": sandbox["pagerduty"]["routing_key"],
        "event_action": "trigger",
        "dedup_key": "rollback-1",
        "payload": {"summary": "Rolled back", "source": "bayit", "severity": "critical"},
    }
    return web.post(f"{sandbox['pagerduty']['url']}/v2/enqueue", json=event | changes)


def alarms(sandbox: Address) -> list[dict[str, Any]]:
    answer = web.get(
        f"{sandbox['pagerduty']['url']}/incidents",
        params={"limit": "100"},
        headers={"Authorization": f"Token token={sandbox['pagerduty']['token']}"},
    )
    return [one for one in answer.raise_for_status().json()["incidents"] if one["incident_key"] == "rollback-1"]


def test_an_event_triggers_an_incident_once(sandbox: Address) -> None:
    first = enqueue(sandbox)
    assert first.status_code == 202
    assert first.json() == {"status": "success", "message": "Event processed", "dedup_key": "rollback-1"}
    assert enqueue(sandbox).status_code == 202
    assert [one["status"] for one in alarms(sandbox)] == ["triggered"]


@pytest.mark.parametrize(
    "changes",
    [
        {"routing_key": "another"},
        {"event_action": "shout"},
        {"dedup_key": "x" * 256},
        {"payload": {"summary": "x", "source": "y", "severity": "grave"}},
        {"payload": {"source": "y", "severity": "error"}},
    ],
)
def test_an_event_that_is_none_is_refused(changes: dict[str, Any], sandbox: Address) -> None:
    answer = enqueue(sandbox, **changes)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert answer.json()["errors"]
