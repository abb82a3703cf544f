"""Slack, as the unmodified slack_sdk and a person with a browser see it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from benchmarks import web
from tests.conftest import Address

METADATA = {"event_type": "release_announced", "event_payload": {"commit": "abc", "attempt": 1}}


@pytest.fixture
def operator(sandbox: Address) -> Iterator[httpx.Client]:
    with web.Client(base_url=sandbox["operator"], timeout=20) as client:
        yield client
        client.put("/faults", json={"faults": []}).raise_for_status()
        client.delete("/plant").raise_for_status()


@pytest.fixture
def slack(sandbox: Address, operator: httpx.Client) -> WebClient:
    return client(sandbox, sandbox["slack"]["token"])


@pytest.fixture(scope="module")
def channels(sandbox: Address) -> dict[str, str]:
    """Ids by name, from all pages of the list."""
    found: dict[str, str] = {}
    for page in client(sandbox, sandbox["slack"]["token"]).conversations_list(limit=50):
        found |= {channel["name"]: channel["id"] for channel in page["channels"]}
    return found


def client(sandbox: Address, token: str | None) -> WebClient:
    return WebClient(token, base_url=f"{sandbox['slack']['url']}/api/", timeout=20)


def refused(error: pytest.ExceptionInfo[SlackApiError]) -> dict[str, Any]:
    answer = error.value.response.data
    assert isinstance(answer, dict)
    assert answer["ok"] is False
    return answer


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_a_token_is_told_whose_it_is(slack: WebClient) -> None:
    answer = slack.auth_test()
    assert answer["ok"] is True
    assert answer["user"] == "deployments"
    assert answer["bot_id"].startswith("B")
    assert answer.headers["x-oauth-scopes"] == "channels:history,channels:read,chat:write,files:write"


def test_the_channels_that_matter_are_not_on_the_first_page(slack: WebClient) -> None:
    first = slack.conversations_list()
    assert len(first["channels"]) == 100
    assert "deployments" not in {channel["name"] for channel in first["channels"]}
    second = slack.conversations_list(cursor=first["response_metadata"]["next_cursor"])
    members = {channel["name"] for channel in second["channels"] if channel["is_member"]}
    assert members == {"deployments", "deployments-2024", "incidents"}
    assert second["response_metadata"]["next_cursor"] == ""


def test_a_private_channel_without_our_app_is_in_no_list(slack: WebClient, channels: dict[str, str]) -> None:
    assert "general" in channels
    assert "security" not in channels


def test_archived_channels_are_left_out_when_asked_for(slack: WebClient) -> None:
    names = {channel["name"] for channel in slack.conversations_list(limit=1000, exclude_archived=True)["channels"]}
    assert "deployments" in names
    assert "deployments-2024" not in names


def test_a_message_is_found_again_by_its_metadata(slack: WebClient, channels: dict[str, str]) -> None:
    posted = slack.chat_postMessage(channel="#deployments", text="starting", metadata=METADATA)
    assert posted["channel"] == channels["deployments"]
    newest = slack.conversations_history(channel=posted["channel"], include_all_metadata=True, limit=1)
    assert newest["messages"][0]["ts"] == posted["ts"]
    assert newest["messages"][0]["metadata"] == METADATA
    without = slack.conversations_history(channel=posted["channel"], limit=1)["messages"][0]
    assert "metadata" not in without


def test_posting_twice_makes_two_messages(slack: WebClient) -> None:
    one, other = (slack.chat_postMessage(channel="deployments", text="the same", metadata=METADATA) for _ in range(2))
    assert one["ts"] != other["ts"]


def test_replies_stand_in_their_thread_and_not_in_the_channel(slack: WebClient) -> None:
    parent = slack.chat_postMessage(channel="deployments", text="starting")
    channel = parent["channel"]
    for text in ("half", "done"):
        slack.chat_postMessage(channel=channel, text=text, thread_ts=parent["ts"])
    newest = slack.conversations_history(channel=channel, limit=1)["messages"][0]
    assert newest["ts"] == parent["ts"]
    thread = slack.conversations_replies(channel=channel, ts=parent["ts"])["messages"]
    assert [message["text"] for message in thread] == ["starting", "half", "done"]
    assert {message["thread_ts"] for message in thread} == {parent["ts"]}


def test_the_history_comes_in_pages_newest_first(slack: WebClient) -> None:
    posted = [slack.chat_postMessage(channel="deployments", text=str(number)) for number in range(5)]
    channel, oldest = posted[0]["channel"], posted[0]["ts"]
    pages = [
        [message["text"] for message in page["messages"]]
        for page in slack.conversations_history(channel=channel, oldest=oldest, inclusive=True, limit=2)
    ]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    after = slack.conversations_history(channel=channel, oldest=posted[2]["ts"])
    assert [message["text"] for message in after["messages"]] == ["4", "3"]
    assert after["has_more"] is False


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("🚀 up", ":rocket: up"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("already &lt;escaped&gt;", "already &lt;escaped&gt;"),
        ("see https://example.test/a?b=1&c=2.", "see <https://example.test/a?b=1&amp;c=2>."),
        ("<!channel> wake up", "<!channel> wake up"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
    ],
)
def test_text_comes_back_as_slack_keeps_it_and_not_as_it_was_sent(slack: WebClient, sent: str, kept: str) -> None:
    assert slack.chat_postMessage(channel="deployments", text=sent)["message"]["text"] == kept


@pytest.mark.parametrize(("token", "code"), [(None, "not_authed"), ("xoxb-1-2-stale", "invalid_auth")])
def test_without_a_good_token_nothing_is_answered(sandbox: Address, token: str | None, code: str) -> None:
    with pytest.raises(SlackApiError) as error:
        client(sandbox, token).auth_test()
    assert refused(error)["error"] == code
    assert error.value.response.status_code == 200


def test_a_missing_scope_is_named_beside_those_that_are_there(sandbox: Address, channels: dict[str, str]) -> None:
    weak = client(sandbox, sandbox["slack"]["token_without_scope"])
    assert weak.conversations_list()["ok"] is True
    with pytest.raises(SlackApiError) as error:
        weak.chat_postMessage(channel="deployments", text="hello")
    assert refused(error) == {
        "ok": False,
        "error": "missing_scope",
        "needed": "chat:write",
        "provided": "channels:read",
    }
    with pytest.raises(SlackApiError) as error:
        weak.conversations_history(channel=channels["deployments"])
    assert refused(error)["needed"] == "channels:history"


@pytest.mark.filterwarnings("ignore:The top-level `text` argument")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"channel": "nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "security", "text": "x"}, "channel_not_found"),
        ({"channel": "general", "text": "x"}, "not_in_channel"),
        ({"channel": "deployments-2024", "text": "x"}, "is_archived"),
        ({"channel": "deployments", "text": ""}, "no_text"),
        ({"channel": "deployments", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "deployments", "text": "x", "thread_ts": "1000000000.000000"}, "thread_not_found"),
        ({"channel": "deployments", "text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
        ({"channel": "deployments", "text": "x", "blocks": "[oops"}, "invalid_blocks_format"),
    ],
)
def test_a_message_that_cannot_be_posted_is_refused_by_name(
    slack: WebClient, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.chat_postMessage(**arguments)
    assert refused(error)["error"] == code


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section("a"), section("")], "must be more than 0 characters [json-pointer:/blocks/1/text/text]"),
        ([{"type": "paragraph"}], "unsupported type: paragraph [json-pointer:/blocks/0]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
    ],
)
def test_blocks_that_break_a_rule_are_refused_with_the_place(
    slack: WebClient, blocks: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.chat_postMessage(channel="deployments", text="x", blocks=blocks)
    answer = refused(error)
    assert answer["error"] == "invalid_blocks"
    assert answer["errors"] == [problem]
    assert answer["response_metadata"]["messages"] == [f"[ERROR] {problem}"]


def test_fifty_blocks_and_three_thousand_characters_are_fine(slack: WebClient) -> None:
    assert slack.chat_postMessage(channel="deployments", text="x", blocks=[section("x" * 3000)] * 50)["ok"] is True


def test_the_history_is_read_by_id_and_by_members_only(slack: WebClient, channels: dict[str, str]) -> None:
    for channel, code in (("deployments", "channel_not_found"), (channels["general"], "not_in_channel")):
        with pytest.raises(SlackApiError) as error:
            slack.conversations_history(channel=channel)
        assert refused(error)["error"] == code


def test_a_form_is_as_good_as_json(sandbox: Address) -> None:
    form = {"channel": "deployments", "text": "x", "blocks": '[{"type":"divider"}]'}
    headers = {"Authorization": f"Bearer {sandbox['slack']['token']}"}
    url = f"{sandbox['slack']['url']}/api/chat.postMessage"
    answer = web.post(url, data=form, headers=headers).json()
    assert answer["message"]["blocks"] == [{"type": "divider"}]


def test_a_method_that_does_not_exist_is_named(slack: WebClient) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.api_call("chat.shout")
    assert refused(error) == {"ok": False, "error": "unknown_method", "req_method": "chat.shout"}


def test_a_rate_limit_answers_429_and_the_sdk_waits_as_told(slack: WebClient, operator: httpx.Client) -> None:
    operator.post("/plant", json={"slack_rate_limit": {"times": 2, "retry_after": 0}}).raise_for_status()
    with pytest.raises(SlackApiError) as error:
        slack.auth_test()
    assert refused(error)["error"] == "ratelimited"
    assert (error.value.response.status_code, error.value.response.headers["retry-after"]) == (429, "0")
    slack.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    assert slack.auth_test()["ok"] is True


def test_slack_down_answers_503_until_it_is_over(sandbox: Address, slack: WebClient, operator: httpx.Client) -> None:
    operator.put("/faults", json={"faults": ["slack-down"]}).raise_for_status()
    with pytest.raises(SlackApiError) as error:
        slack.auth_test()
    assert error.value.response.status_code == 503
    assert web.get(sandbox["slack"]["url"]).status_code == 503
    operator.put("/faults", json={"faults": []}).raise_for_status()
    assert slack.auth_test()["ok"] is True


def test_the_operator_reads_what_was_written(slack: WebClient, operator: httpx.Client) -> None:
    posted = slack.chat_postMessage(channel="incidents", text="rolled back", metadata=METADATA)
    found = {channel["name"]: channel["messages"] for channel in operator.get("/slack").json()["channels"]}
    last = found["incidents"][-1]
    assert (last["ts"], last["text"], last["metadata"]) == (posted["ts"], "rolled back", METADATA)
    assert last["author"]["name"] == "deployments"


def test_the_page_shows_channels_threads_and_times(sandbox: Address, slack: WebClient) -> None:
    parent = slack.chat_postMessage(channel="deployments", text="the *parent*")
    slack.chat_postMessage(channel="deployments", text="the child", thread_ts=parent["ts"])
    slack.chat_postMessage(channel="deployments", text="x", blocks=[section("from a block <!here>")])
    page = web.get(sandbox["slack"]["url"]).text
    assert re.search(r'<h2 id="C\w+">#deployments</h2>', page)
    assert re.search(r'the <strong>parent</strong></p></article>\n?<div class="thread">.*the child', page)
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT[\d:]+\+00:00">', page)
    assert "from a block <mark>@here</mark>" in page


@pytest.mark.parametrize("where", ["text", "section", "plain", "label"])
def test_nothing_that_was_written_becomes_part_of_the_page(sandbox: Address, slack: WebClient, where: str) -> None:
    evil = f"<script>alert('{where}')</script>"
    sent = f"<https://example.test/|{html.escape(evil)}>" if where == "label" else evil
    plain = {"type": "section", "text": {"type": "plain_text", "text": sent}}
    blocks = {"section": [section(sent)], "plain": [plain]}.get(where)
    slack.chat_postMessage(channel="deployments", text="x" if blocks else sent, blocks=blocks)
    page = web.get(sandbox["slack"]["url"])
    assert html.escape(evil) in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_only_web_addresses_become_links_on_the_page(sandbox: Address, slack: WebClient) -> None:
    slack.chat_postMessage(
        channel="deployments", text="<javascript:alert(1)|here> <https://example.test/?a=1&b=2|there>"
    )
    page = web.get(sandbox["slack"]["url"]).text
    assert '<a href="https://example.test/?a=1&amp;b=2" rel="noreferrer">there</a>' in page
    assert 'href="javascript' not in page
