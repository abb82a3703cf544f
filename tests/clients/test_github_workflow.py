"""Starting a workflow run once, whatever kind of answer comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.clients.hostile import Conversation, hostile
from verification.clients.github.workflow import DeployWorkflow, WorkflowRun
from verification.clients.web_api import MaybeTaken, Refused
from verification.deadline import now
from verification.errors import ObserverError
from verification.settings.observers import GitHubSettings

Posted = list[str]


def run(number: int, title: str = "") -> dict[str, object]:
    return {
        "id": number,
        "status": "queued",
        "conclusion": None,
        "html_url": f"https://github.example/{number}",
        "display_title": title,
        "created_at": f"{now():%Y-%m-%dT%H:%M:%SZ}",
    }


def started(
    post: Callable[[Conversation, int], None], runs: list[dict[str, object]], correlation_input: str = ""
) -> tuple[WorkflowRun | None, Posted]:
    """What `start` answers, and the requests that it made of us with POST."""
    posted: Posted = []

    def script(one: Conversation) -> None:
        if one.request.startswith("POST"):
            posted.append(one.request)
            post(one, len(posted))
        elif "/runs/7" in one.request.splitlines()[0]:
            one.answer(json.dumps(run(7)).encode())
        else:
            one.answer(json.dumps({"total_count": len(runs), "workflow_runs": runs}).encode())

    with hostile(script) as server:
        settings = GitHubSettings(url=server.url, repository="o/r", workflow="w", correlation_input=correlation_input)
        workflow = DeployWorkflow(settings, 5, {"GITHUB_TOKEN": "ghp-token-1"})
        try:
            return workflow.start(1, {"rollback_revision": "r-1"}, "mine-1"), posted
        finally:
            workflow.close()


def test_an_answer_that_names_the_run_is_believed() -> None:
    found, posted = started(lambda one, _: one.answer(b'{"workflow_run_id": 7}'), [])
    assert found is not None
    assert (found.id, found.guessed) == (7, False)
    assert len(posted) == 1
    assert '"return_run_details"' in posted[0]


def test_an_answer_without_a_name_leaves_the_only_new_run() -> None:
    found, _ = started(lambda one, _: one.answer(b"", "204 No Content"), [run(5)])
    assert found is not None
    assert (found.id, found.guessed) == (5, True), "somebody else may have begun it: nobody must cancel it"


def test_a_correlation_tells_ours_from_others() -> None:
    found, posted = started(
        lambda one, _: one.answer(b"", "204 No Content"), [run(5), run(6, "Roll back [mine-1]")], "correlation"
    )
    assert found is not None
    assert (found.id, found.guessed) == (6, False)
    assert '"correlation"' in posted[0]
    assert '"mine-1"' in posted[0]


def test_an_older_server_that_refuses_the_flag_is_asked_without_it() -> None:
    def post(one: Conversation, times: int) -> None:
        if times == 1:
            one.answer(b'{"message": "\\"return_run_details\\" is not a permitted key."}', "400 Bad Request")
        else:
            one.answer(b"", "204 No Content")

    found, posted = started(post, [run(5)])
    assert found is not None
    assert ["return_run_details" in one for one in posted] == [True, False]


def test_a_lost_answer_is_never_answered_by_a_second_request() -> None:
    found, posted = started(lambda one, _: one.answer(b"", "502 Bad Gateway"), [run(5)])
    assert found is not None
    assert found.id == 5
    assert len(posted) == 1


def test_a_list_that_cannot_be_read_at_once_does_not_make_a_run_unbegun() -> None:
    lists: list[str] = []

    def script(one: Conversation) -> None:
        if one.request.startswith("POST"):
            one.answer(b"", "204 No Content")
            return
        lists.append(one.request)
        if len(lists) == 1:
            one.answer(b"", "404 Not Found")
        else:
            one.answer(json.dumps({"total_count": 1, "workflow_runs": [run(5)]}).encode())

    with hostile(script) as server:
        settings = GitHubSettings(url=server.url, repository="o/r", workflow="w")
        with closing(DeployWorkflow(settings, 5, {"GITHUB_TOKEN": "ghp-token-1"})) as workflow:
            found = workflow.start(1, {"rollback_revision": "r-1"}, "mine-1")
    assert found is not None
    assert found.id == 5


@pytest.mark.parametrize("status", ["422 Unprocessable Entity", "404 Not Found"])
def test_a_refusal_is_final(status: str) -> None:
    with pytest.raises(ObserverError) as refused:
        started(lambda one, _: one.answer(b'{"message": "Unexpected inputs provided"}', status), [run(5)])
    assert not isinstance(refused.value, MaybeTaken)
    assert isinstance(refused.value, Refused) == status.startswith("422")
