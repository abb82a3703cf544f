"""Answers of the service that never come, never end or are broken: whose fault that is, and what is shown."""

from __future__ import annotations

import gzip
import json
import resource
import secrets

import pytest

from tests.clients.hostile import Conversation, Script
from tests.clients.service_questions import asked, chunked, problem, silent
from verification.errors import ServiceError
from verification.redaction import redact, register
from verification.settings.service import ListFlow

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one

HTML = b"<!doctype html><title>It works!</title>"


# --- an answer that never comes, or never ends ---------------------------------------------------------------------


def trickling_headers(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\n")
    conversation.trickle(b"X-More: yes\r\n")


def trickling_body(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    conversation.trickle(b"{")


def endless_hints(conversation: Conversation) -> None:
    conversation.flood(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def endless_nothing(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
    head, empty = (
        gzip.compress(b"")[:10],
        b"\x00\x00\x00\xff\xff",
    )  # a block of no bytes, of which there may be any number
    conversation.send(b"a\r\n%b\r\n" % head)
    conversation.flood(b"1388\r\n%b\r\n" % (empty * 1000))


def stalls_in_the_body(conversation: Conversation) -> None:
    conversation.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status"')
    conversation.hold()


@pytest.mark.parametrize(
    "script", [silent, trickling_headers, trickling_body, endless_hints, endless_nothing, stalls_in_the_body]
)
def test_an_answer_that_is_not_complete_in_time_is_the_services_fault(script: Script) -> None:
    """A byte now and then does not buy more time: the limit is on the whole question."""
    answer = asked(script)
    said = problem(answer)
    assert isinstance(said, ServiceError)
    assert "no complete answer within 500ms" in str(said)
    assert answer.seconds < 10


def endless_body(conversation: Conversation) -> None:
    chunked(conversation)
    conversation.flood(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def large_body(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    for _ in range(50):
        conversation.send(b"x" * 1_000_000)


def small_body_that_unpacks_to_much(conversation: Conversation) -> None:
    conversation.answer(gzip.compress(b"\0" * 50_000_000, 9), "200 OK", "Content-Encoding: gzip")


@pytest.mark.parametrize("script", [endless_body, large_body, small_body_that_unpacks_to_much])
def test_an_answer_is_not_read_beyond_the_size_that_settings_allow(script: Script) -> None:
    said = problem(asked(script, timeout="20s", largest_answer_mb=0.5))
    assert isinstance(said, ServiceError)
    assert "larger than 0.5 MB" in str(said)


def test_an_answer_packed_several_times_over_is_refused_before_it_is_unpacked() -> None:
    """Two layers make gigabytes out of kilobytes: each alone would have its limit, both together have none."""
    bomb = gzip.compress(gzip.compress(b"\0" * 200_000_000, 1), 9)

    def script(conversation: Conversation) -> None:
        conversation.answer(bomb, "200 OK", "Content-Encoding: gzip, gzip")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = problem(asked(script, timeout="20s"))
    assert isinstance(said, ServiceError)
    assert "gzip, gzip" in str(said)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_a_packed_answer_is_read() -> None:
    body = gzip.compress(b'{"status": "healthy"}')
    asked(lambda one: one.answer(body, "200 OK", "Content-Encoding: gzip")).must_say({"status": "healthy"})


# --- broken answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X-Large: " + b"x" * 1_000_000,
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"\x16\x03\x01 that is no HTTP at all \xff\xfe\r\n\r\n",
        b"",
    ],
    ids=[
        "closes-mid-body",
        "length-is-no-number",
        "length-is-negative",
        "two-lengths",
        "bad-chunk",
        "gzip-that-is-none",
        "endless-header",
        "status-is-no-number",
        "not-http",
        "closes-at-once",
    ],
)
def test_an_answer_that_is_no_http_is_the_services_fault(sent: bytes) -> None:
    def script(conversation: Conversation) -> None:
        conversation.send(sent)
        conversation.connection.close()

    said = problem(asked(script))
    assert isinstance(said, ServiceError)
    assert "/health: " in str(said)
    assert str(said).partition("/health: ")[2], "says what was wrong"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (HTML, "It works!"),
        (b'{"status": "heal', "begins"),
        (b"", "expected JSON"),
        (b"\xff\xfe\xfa not UTF-8", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b'{"a":' * 100_000, "expected JSON"),
        (b"9" * 10_000, "expected JSON"),
        (b'["healthy"]', "it is a list"),
        (b'"healthy"', "it is 'healthy'"),
        (b"null", "it is null"),
        (b'{"state": "healthy"}', "it has: state"),
        (b'{"status": {"overall": "healthy"}}', "status is an object"),
        (b'{"status": null}', "status is null"),
        (b'{"status": true}', "status is True"),
        (b'{"status": NaN}', "status is nan"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value[:20]),
)
def test_200_with_a_body_of_another_kind_fails_and_shows_what_came(body: bytes, told: str) -> None:
    answer = asked(lambda conversation: conversation.answer(body, "200 OK", "Content-Type: text/html"))
    with pytest.raises(ServiceError) as caught:
        answer.must_say({"status": "healthy"})
    assert told in str(caught.value)


def test_a_list_that_is_none_fails_with_what_came_instead() -> None:
    flow = ListFlow(path="/items", items="items", fields={"id": "string"})
    for body, told in (
        (b'{"items": 3}', "items is 3, expected a list"),
        (b"<html>", "expected JSON"),
        (b'{"items": [5]}', "item 1 is 5"),
        (b'{"items": [{"id": "a"}, {}]}', "item 2 has no id"),
        (b'{"items": [{"id": 7}]}', "id of item 1 is 7, not a string"),
    ):
        listing = asked(lambda conversation, body=body: conversation.answer(body)).listing(flow)  # type: ignore[misc]
        with pytest.raises(ServiceError) as caught:
            listing.shape.must_be("complete")
        assert told in str(caught.value)


def test_a_status_that_tells_of_an_error_is_shown_with_what_was_answered() -> None:
    said = problem(asked(lambda one: one.answer(b"no database\n connection", "500 Oops")))
    assert isinstance(said, ServiceError)
    assert "status is 500, expected 200" in str(said)
    assert "no database connection" in str(said)


def test_a_secret_that_the_service_echoes_is_hidden_even_where_its_words_are_cut_off() -> None:
    secret = f"Tr0ub4dor-{secrets.token_hex(200)}"
    register(secret)
    for lead in range(90, 121, 10):
        body = b"x" * lead + secret.encode()
        said = str(problem(asked(lambda one, body=body: one.answer(body, "500 Oops"))))  # type: ignore[misc]
        assert "Tr0" not in redact(said)
        shown = asked(lambda one, body=body: one.answer(json.dumps({"a": body.decode()}).encode())).field("a")  # type: ignore[misc]
        with pytest.raises(ServiceError) as caught:
            shown.must_be("b")
        assert "Tr0" not in redact(str(caught.value))
