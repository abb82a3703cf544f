"""GitHub's REST API, as its clients see it: issues, deployments, a limit and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from benchmarks import web
from tests.conftest import Address, Start


@pytest.fixture
def operator(sandbox: Address) -> Iterator[httpx.Client]:
    with web.Client(base_url=sandbox["operator"], timeout=20) as client:
        yield client
        client.put("/faults", json={"faults": []}).raise_for_status()
        client.delete("/plant").raise_for_status()


@pytest.fixture
def github(sandbox: Address, operator: httpx.Client) -> Iterator[httpx.Client]:
    with client(sandbox, sandbox["github"]["token"]) as found:
        yield found


def client(sandbox: Address, token: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return web.Client(base_url=address(sandbox), headers=headers, timeout=20)


def address(sandbox: Address) -> str:
    """The repository itself; httpx would end it with a slash."""
    return f"{sandbox['github']['url']}/repos/{sandbox['github']['repository']}"


def plant(operator: httpx.Client, **fields: Any) -> int:
    answer = operator.post("/plant", json={"github_issue": fields}).raise_for_status()
    number: int = answer.json()["planted"]["github_issue"]["number"]
    return number


def numbers(response: httpx.Response) -> list[int]:
    return [issue["number"] for issue in response.raise_for_status().json()]


def opened(github: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = github.post("/issues", json={"title": "Rolled back"} | fields)
    assert response.status_code == 201, response.text
    issue: dict[str, Any] = response.json()
    return issue


def deployed(github: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = github.post("/deployments", json=fields)
    assert response.status_code == 201, response.text
    deployment: dict[str, Any] = response.json()
    return deployment


def test_the_repository_says_what_the_token_may_do(sandbox: Address, github: httpx.Client) -> None:
    answer = github.get(address(sandbox)).json()
    assert answer["full_name"] == sandbox["github"]["repository"]
    assert answer["default_branch"] == "main"
    assert answer["permissions"]["push"] is True
    with client(sandbox, sandbox["github"]["token_without_scope"]) as weak:
        assert weak.get(address(sandbox)).json()["permissions"]["push"] is False


def test_at_the_start_only_a_pull_request_carries_a_label_that_means_an_incident(github: httpx.Client) -> None:
    found = github.get("/issues", params={"state": "open", "labels": "P1"}).json()
    assert [issue["title"] for issue in found] == ["Add the index that search lacked"]
    assert found[0]["pull_request"]["html_url"].endswith(f"/pull/{found[0]['number']}")
    assert github.get("/issues", params={"state": "open", "labels": "P0"}).json() == []
    assert len(github.get("/issues", params={"state": "closed", "labels": "P1"}).json()) == 1


def test_a_planted_issue_is_open_until_it_is_taken_back(github: httpx.Client, operator: httpx.Client) -> None:
    number = plant(operator, title="Login is down", labels=["P0"])
    found = github.get("/issues", params={"labels": "P0"}).json()
    assert [(issue["number"], issue["title"], issue["state"]) for issue in found] == [(number, "Login is down", "open")]
    assert "pull_request" not in found[0]
    assert operator.delete("/plant").status_code == 204
    assert github.get("/issues", params={"labels": "P0"}).json() == []
    closed = github.get("/issues", params={"state": "closed", "labels": "P0"}).json()
    assert number in {issue["number"] for issue in closed if issue["closed_at"]}


def test_labels_are_all_required_and_their_case_does_not_matter(github: httpx.Client, operator: httpx.Client) -> None:
    both = plant(operator, title="Both", labels=["P0", "bug"])
    one = plant(operator, title="One", labels=["P0"])
    assert numbers(github.get("/issues", params={"labels": "p0"})) == [one, both]
    assert numbers(github.get("/issues", params={"labels": "P0,bug"})) == [both]
    assert numbers(github.get("/issues", params={"labels": "P0,nobody-uses-this"})) == []


def test_issues_come_in_pages_newest_first(github: httpx.Client, operator: httpx.Client) -> None:
    planted = [plant(operator, title=f"Number {number}", labels=["many"]) for number in range(5)]
    response = github.get("/issues", params={"labels": "many", "per_page": 2})
    assert set(response.links) == {"next", "last"}
    found = numbers(response)
    while "next" in response.links:
        response = github.get(response.links["next"]["url"])
        found += numbers(response)
    assert found == planted[::-1]
    assert set(response.links) == {"prev", "first"}
    assert github.get("/issues", params={"labels": "many", "per_page": 100}).links == {}


def test_an_unknown_state_is_refused(github: httpx.Client) -> None:
    response = github.get("/issues", params={"state": "ajar"})
    assert response.status_code == 422
    assert response.json()["errors"] == [{"resource": "Issue", "code": "invalid", "field": "state"}]


def test_an_incident_is_opened_and_commented_on(github: httpx.Client) -> None:
    issue = opened(github, body="The error rate rose.", labels=["incident", "never-used-before"])
    path = f"/issues/{issue['number']}"
    assert [label["name"] for label in issue["labels"]] == ["incident", "never-used-before"]
    comment = github.post(f"{path}/comments", json={"body": "Back to normal."})
    assert comment.status_code == 201
    assert comment.json()["html_url"] == f"{issue['html_url']}#issuecomment-{comment.json()['id']}"
    assert [one["body"] for one in github.get(f"{path}/comments").json()] == ["Back to normal."]
    listed = github.get("/issues", params={"labels": "NEVER-used-before"}).json()
    assert [(found["number"], found["comments"]) for found in listed] == [(issue["number"], 1)]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/issues", {"body": "no title"}, '"title" wasn\'t supplied'),
        ("/issues", {"title": 7}, "Validation Failed"),
        ("/issues", {"title": "x", "body": "x" * 65_537}, "Validation Failed"),
        ("/issues/1/comments", {}, "Validation Failed"),
        ("/issues/1/comments", {"body": "x" * 65_537}, "Validation Failed"),
        ("/deployments", {}, "Validation Failed"),
        ("/deployments", {"ref": "no-such-branch"}, "No ref found for: no-such-branch"),
        ("/deployments", {"ref": "main", "description": "x" * 141}, "Validation Failed"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_422(
    github: httpx.Client, path: str, body: dict[str, Any], message: str
) -> None:
    response = github.post(path, json=body)
    assert response.status_code == 422
    assert message in response.json()["message"]


def test_a_body_that_is_no_json_is_refused_with_400(github: httpx.Client) -> None:
    response = github.post("/issues", content=b"{oops")
    assert (response.status_code, response.json()["message"]) == (400, "Problems parsing JSON")


def test_the_longest_comment_is_taken(github: httpx.Client) -> None:
    issue = opened(github)
    assert github.post(f"/issues/{issue['number']}/comments", json={"body": "x" * 65_536}).status_code == 201


def test_what_runs_at_the_start_is_noted_as_deployed(start_sandbox: Start) -> None:
    fresh = start_sandbox()  # one in which nothing was released since
    with client(fresh, fresh["github"]["token"]) as github:
        for environment, entry in fresh["environments"].items():
            noted = github.get("/deployments", params={"environment": environment}).json()
            assert [deployment["sha"] for deployment in noted] == [entry["deployment"]["commit"]]
            at = datetime.fromisoformat(entry["deployment"]["at"])
            assert datetime.fromisoformat(noted[0]["created_at"]) == at.replace(microsecond=0)
            statuses = github.get(f"/deployments/{noted[0]['id']}/statuses").json()
            assert [status["state"] for status in statuses] == ["success"]


def test_a_successful_deployment_retires_the_one_before(github: httpx.Client) -> None:
    commits = "a" * 40, "b" * 40
    first, second = (deployed(github, ref=ref, environment="preview") for ref in commits)
    assert first["sha"] == "a" * 40
    for deployment in (first, second):
        path = f"/deployments/{deployment['id']}/statuses"
        assert github.get(path).json() == []
        github.post(path, json={"state": "in_progress"}).raise_for_status()
        github.post(path, json={"state": "success"}).raise_for_status()
    newest = [github.get(f"/deployments/{one['id']}/statuses").json()[0]["state"] for one in (first, second)]
    assert newest == ["inactive", "success"]
    listed = github.get("/deployments", params={"environment": "preview"}).json()
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    assert github.get("/deployments", params={"sha": "a" * 40}).json()[0]["id"] == first["id"]


def test_a_deployment_of_a_branch_knows_its_commit(github: httpx.Client) -> None:
    deployment = deployed(github, ref="main", environment="preview-2")
    assert len(deployment["sha"]) == 40
    response = github.post(f"/deployments/{deployment['id']}/statuses", json={"state": "splendid"})
    assert response.status_code == 422


def test_the_wrong_token_is_told_so_and_none_sees_nothing(sandbox: Address) -> None:
    with client(sandbox, "stale") as stranger:
        response = stranger.get(address(sandbox))
    assert (response.status_code, response.json()["message"]) == (401, "Bad credentials")
    with client(sandbox) as nobody:
        assert nobody.get("/issues").status_code == 404
        response = nobody.post("/issues", json={"title": "x"})
    assert (response.status_code, response.json()["message"]) == (401, "Requires authentication")


def test_a_token_that_may_only_read_is_refused_a_write(sandbox: Address) -> None:
    with client(sandbox, sandbox["github"]["token_without_scope"]) as weak:
        assert weak.get("/issues").status_code == 200
        response = weak.post("/issues", json={"title": "x"})
    assert response.status_code == 403
    assert response.json()["message"] == "Resource not accessible by personal access token"
    assert response.json()["status"] == "403"


def test_other_repositories_and_paths_are_not_found(sandbox: Address, github: httpx.Client) -> None:
    for path in ("/repos/somebody/else/issues", f"/repos/{sandbox['github']['repository']}/nonsense", "/nonsense"):
        response = github.get(f"{sandbox['github']['url']}{path}")
        assert (response.status_code, response.json()["message"]) == (404, "Not Found")
    assert github.get("/issues/99999/comments").status_code == 404
    assert github.get(f"{address(sandbox)}/").status_code == 404


def test_a_rate_limit_says_how_long_to_wait(github: httpx.Client, operator: httpx.Client) -> None:
    operator.post("/plant", json={"github_rate_limit": {"times": 1, "retry_after": 7}}).raise_for_status()
    response = github.get("/issues")
    assert (response.status_code, response.headers["retry-after"]) == (403, "7")
    assert "secondary rate limit" in response.json()["message"]
    assert github.get("/issues").status_code == 200


def test_github_down_answers_503_until_it_is_over(github: httpx.Client, operator: httpx.Client) -> None:
    operator.put("/faults", json={"faults": ["github-down"]}).raise_for_status()
    response = github.get("/issues")
    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")
    operator.put("/faults", json={"faults": []}).raise_for_status()
    assert github.get("/issues").status_code == 200
