"""Issues as incidents."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.clients.hostile import Conversation, Script, hostile
from verification.clients.github.client import GitHub
from verification.clients.incidents import OpenIncident
from verification.errors import NotPermitted, ObserverError
from verification.settings.observers import GitHubSettings

ISSUE = '{"number": %d, "title": "T%d", "state": "%s", "html_url": "https://github.example/%d"%s}'


def issue(number: int, state: str = "open", more: str = "") -> str:
    return ISSUE % (number, number, state, number, more)


def opened(script: Script, *labels: str) -> list[OpenIncident]:
    with hostile(script) as server:
        settings = GitHubSettings(url=server.url, repository="o/r", workflow="w")
        with closing(GitHub(settings, {"GITHUB_TOKEN": "ghp-token-1"})) as github:
            return github.incidents(labels or ("P0",))


def test_each_label_is_a_question_of_its_own() -> None:
    asked: list[str] = []

    def script(one: Conversation) -> None:
        asked.append(one.request.splitlines()[0])
        one.answer(f"[{issue(1)}]".encode())

    found = opened(script, "P0", "P1: high & bad")
    assert [one.severity for one in found] == ["P0"]
    assert ["labels=P0&" in asked[0], "labels=P1%3A+high+%26+bad&" in asked[1]] == [True, True]


def test_pull_requests_and_closed_issues_are_none() -> None:
    listed = [issue(1, more=', "pull_request": {"url": "x"}'), issue(2, "closed"), issue(3)]
    assert [one.title for one in opened(lambda one: one.answer(f"[{','.join(listed)}]".encode()))] == ["T3"]


def test_all_pages_are_read() -> None:
    def script(one: Conversation) -> None:
        link = f'Link: </repositories/1/issues?page={one.number + 1}>; rel="next"' if one.number < 3 else "X-Last: 1"
        one.answer(f"[{issue(one.number)}]".encode(), "200 OK", link)

    assert len(opened(script)) == 3


def test_a_refused_token_is_not_permitted() -> None:
    with pytest.raises(NotPermitted, match="token is refused"):
        opened(lambda one: one.answer(b'{"message": "Bad credentials"}', "401 Unauthorized"))


@pytest.mark.parametrize("status", ["301 Moved Permanently", "404 Not Found"])
def test_a_repository_that_was_renamed_or_hidden_is_inconclusive(status: str) -> None:
    with pytest.raises(ObserverError):
        opened(lambda one: one.answer(b"{}", status))
