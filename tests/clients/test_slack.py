"""What is said in Slack: once, harmless whatever it holds, and found again."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from benchmarks import web
from tests.clients.hostile import Conversation, Script, hostile
from tests.conftest import Address
from verification.clients.slack.client import Post, Slack
from verification.clients.slack.text import blocks_of, escape, marked
from verification.deadline import now
from verification.errors import NotAsked, NotPermitted, ObserverError, SettingsError
from verification.local_sandbox.sandbox import Sandbox
from verification.probes.announcement import Announcement, announce
from verification.redaction import redact
from verification.settings.observers import SlackSettings


@pytest.fixture(scope="module")
def address(sandbox: Sandbox) -> Address:
    document: Address = web.get(sandbox.addresses.operator, timeout=20).json()
    return document


@pytest.fixture
def operator(address: Address) -> Iterator[Callable[[str, object], None]]:
    def tell(path: str, body: object) -> None:
        method = "PUT" if path == "/faults" else "POST"
        web.request(method, address["operator"] + path, json=body, timeout=20).raise_for_status()

    yield tell
    tell("/faults", {"faults": []})
    web.delete(f"{address['operator']}/plant", timeout=20).raise_for_status()


@pytest.fixture
def slack(address: Address) -> Slack:
    return Slack(f"{address['slack']['url']}/api", address["slack"]["token"], 20)


@pytest.fixture
def reader(address: Address) -> WebClient:
    return WebClient(address["slack"]["token"], base_url=f"{address['slack']['url']}/api/", timeout=20)


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def settings_of(address: Address) -> SlackSettings:
    return SlackSettings(url=f"{address['slack']['url']}/api", deployments="#deployments", incidents="#incidents")


def message(reader: WebClient, post: Post) -> dict[str, Any]:
    found = reader.conversations_history(
        channel=post.channel, oldest=post.ts, inclusive=True, include_all_metadata=True
    )
    return next(one for one in found["messages"] if one["ts"] == post.ts)


def release(key: str) -> Announcement:
    return Announcement("main", key, ("1234567 feat: search <!channel> & <b>", "89abcde fix: it"), "✅ 26 hours")


def test_the_team_is_told_once_for_each_release(address: Address, reader: WebClient, key: str) -> None:
    variables = {"SLACK_BOT_TOKEN": address["slack"]["token"]}
    first = announce(settings_of(address), release(key), variables, dry_run=False)
    second = announce(settings_of(address), release(key), variables, dry_run=False)
    other = announce(settings_of(address), release(uuid.uuid4().hex), variables, dry_run=False)
    assert [one.value for one in (first, second, other)] == ["posted", "posted before", "posted"]


def test_the_message_is_the_checklists_and_fires_no_mention(slack: Slack, reader: WebClient, key: str) -> None:
    text = release(key).text
    sent = message(reader, slack.announce("#deployments", text, [text], key))
    assert sent["blocks"][0]["text"]["text"] == escape(text)
    for line in (
        "Production deployment starting in 30 minutes",
        "Branch: main",
        f"Commit: {key}",
        "Staging verified: ",
    ):
        assert line in sent["text"]
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in sent["text"]
    assert "<!" not in json.dumps(sent["blocks"])


def test_a_dry_run_says_what_it_would_post_and_posts_nothing(address: Address, slack: Slack, key: str) -> None:
    variables = {"SLACK_BOT_TOKEN": address["slack"]["token"]}
    with pytest.raises(NotAsked, match=key):
        announce(settings_of(address), release(key), variables, dry_run=True)
    assert not [one for one in slack.read("#deployments", now() - dt.timedelta(minutes=5)) if key in one.text]


def test_it_is_found_by_its_text_where_metadata_cannot_be_read(slack: Slack, reader: WebClient, key: str) -> None:
    posted = reader.chat_postMessage(channel="#deployments", text=marked("told\nby an older version", key))
    found = slack.announce("#deployments", "told", [], key)
    assert (found.ts, found.again) == (posted["ts"], True)


def test_nobody_else_can_keep_the_team_from_being_told(
    slack: Slack, operator: Callable[[str, object], None], key: str
) -> None:
    operator("/plant", {"slack_message": {"channel": "#deployments", "text": marked("told", key)}})
    assert not slack.announce("#deployments", "told", ["told"], key).again


def test_an_update_goes_into_the_thread_once(slack: Slack, reader: WebClient, key: str) -> None:
    first = slack.announce("#deployments", "told", ["told"], key)
    done = slack.announce("#deployments", "done", ["done"], f"{key}-done", thread=first)
    again = slack.announce("#deployments", "done", ["done"], f"{key}-done", thread=first)
    assert (done.again, again.again, again.ts) == (False, True, done.ts)
    replies = reader.conversations_replies(channel=first.channel, ts=first.ts)["messages"]
    assert [one["ts"] for one in replies] == [first.ts, done.ts]


def test_what_was_said_since_then_is_read(slack: Slack, operator: Callable[[str, object], None], key: str) -> None:
    operator("/plant", {"slack_message": {"channel": "#incidents", "text": f"P1: {key}"}})
    found = [one for one in slack.read("#incidents", now() - dt.timedelta(minutes=5)) if key in one.text]
    assert len(found) == 1
    assert abs((now() - found[0].at).total_seconds()) < 300


def test_a_token_without_scope_is_not_permitted_and_names_the_scope(address: Address, key: str) -> None:
    variables = {"SLACK_BOT_TOKEN": address["slack"]["token_without_scope"]}
    with pytest.raises(NotPermitted, match="channels:history") as caught:
        announce(settings_of(address), release(key), variables, dry_run=False)
    assert variables["SLACK_BOT_TOKEN"] not in redact(str(caught.value))


def test_a_token_that_is_refused_or_missing_is_not_permitted(address: Address, key: str) -> None:
    for variables in ({}, {"SLACK_BOT_TOKEN": "xoxb-000000-nobody"}):
        with pytest.raises(NotPermitted) as caught:
            announce(settings_of(address), release(key), variables, dry_run=False)
        assert "SLACK_BOT_TOKEN" in str(caught.value)


def test_slack_down_is_inconclusive(slack: Slack, operator: Callable[[str, object], None], key: str) -> None:
    operator("/faults", {"faults": ["slack-down"]})
    with pytest.raises(ObserverError, match="Slack"):
        slack.announce("#deployments", "told", [], key)


def test_a_channel_that_does_not_exist_is_named(slack: Slack, key: str) -> None:
    with pytest.raises(ObserverError, match="#deploymints"):
        slack.announce("#deploymints", "told", [], key)


def refusal(script: Script, timeout: float = 3) -> ObserverError:
    with hostile(script) as server, pytest.raises(ObserverError) as caught:
        Slack(server.url, "xoxb-token", timeout).read("C1", now())
    return caught.value


def test_a_rate_limit_is_waited_for_only_within_the_deadline() -> None:
    def script(one: Conversation) -> None:
        body = b'{"ok": true, "messages": [{"ts": "1.5", "text": "hi"}]}'
        one.answer(body) if one.number > 1 else one.answer(b"{}", "429 Too Many Requests", "Retry-After: 1")

    with hostile(script) as server:
        assert [one.text for one in Slack(server.url, "xoxb-token", 10).read("C1", now())] == ["hi"]
    assert "rate limit" in refusal(lambda one: one.answer(b"{}", "429 Too Many Requests", "Retry-After: 900")).cause


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"ok": true}', b'{"ok": true, "messages": [{}]}', b'{"ok": false}']
)
def test_an_answer_of_another_shape_is_no_answer(body: bytes) -> None:
    assert "Slack conversations.history" in refusal(lambda one: one.answer(body)).cause


def test_an_answer_that_does_not_end_is_given_up() -> None:
    assert "within 1s" in refusal(lambda one: one.trickle(b"HTTP/1.1 200 OK\r\n"), 1).cause


def test_a_post_that_broke_is_not_sent_twice(key: str) -> None:
    def script(one: Conversation) -> None:
        if "chat.postMessage" in one.request:
            one.answer(b"{}", "503 Service Unavailable")
        else:
            one.answer(b'{"ok": true, "messages": [], "user_id": "U1"}')

    with hostile(script) as server:
        with pytest.raises(ObserverError):
            Slack(server.url, "xoxb-token", 5).announce("C1", "told", [], key)
        assert sum("chat.postMessage" in one for one in server.requests) == 1


def test_a_token_never_travels_in_the_clear() -> None:
    with pytest.raises(SettingsError, match="in the clear"):
        Slack("http://slack.example/api", "xoxb-token", 5)


def test_slacks_limits_are_kept() -> None:
    blocks = blocks_of(["&" * 5000] * 60)
    assert len(blocks) == 50
    texts = [one["text"]["text"] for one in blocks]  # type: ignore[index]
    assert max(map(len, texts)) <= 3000
    assert texts[0].removesuffix("…").replace("&amp;", "") == ""
    assert texts[-1] == "… and 11 more"
    assert len(marked("x" * 9000, "key")) <= 4000
