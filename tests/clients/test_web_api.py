"""What any outside API may answer, and what is made of it: never a pass, never the service's fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.hostile import Conversation, Hostile, Script, free_port, hostile
from verification.clients.web_api import Reply, System, WebApi, next_page, token_of
from verification.errors import NotPermitted, ObserverError, ServiceError, SettingsError
from verification.redaction import redact

TOKEN = "tok-5f0c1e7a9b"
LIST = list[int]
LATER = "4102444800"  # the year 2100


@contextmanager
def asked(script: Script, timeout: float = 5) -> Iterator[tuple[Hostile, WebApi]]:
    with hostile(script) as server:
        api = WebApi(System("Tower", server.url, "TOWER_TOKEN", "the scope view:all"), TOKEN, timeout)
        try:
            yield server, api
        finally:
            api.close()


def get(script: Script, timeout: float = 5) -> Reply:
    with asked(script, timeout) as (_, api):
        return api.get("/things")


def refusal(script: Script, timeout: float = 5) -> ObserverError:
    with pytest.raises(ObserverError) as caught:
        get(script, timeout).read(LIST)
    assert not isinstance(caught.value, ServiceError)
    assert TOKEN not in redact(str(caught.value))
    return caught.value


def test_the_token_goes_with_every_question() -> None:
    with asked(lambda one: one.answer(b"[1, 2]")) as (server, api):
        assert api.get("/things", {"q": "a b"}).read(LIST) == [1, 2]
    assert f"authorization: bearer {TOKEN}" in server.requests[0].lower()
    assert server.requests[0].startswith("GET /things?q=a+b ")


@pytest.mark.parametrize(
    ("status", "words"), [("401 Unauthorized", "TOWER_TOKEN"), ("403 Forbidden", "the scope view:all")]
)
def test_a_refused_token_is_not_permitted_and_says_what_to_mend(status: str, words: str) -> None:
    problem = refusal(lambda one: one.answer(b'{"detail": "no"}', status))
    assert isinstance(problem, NotPermitted)
    assert words in problem.remedy


@pytest.mark.parametrize(
    "status", ["404 Not Found", "418 Teapot", "204 No Content", "500 Oops", "503 Service Unavailable"]
)
def test_other_statuses_are_the_observers(status: str) -> None:
    problem = refusal(lambda one: one.answer(b"", status))
    assert not isinstance(problem, NotPermitted)
    assert status[:3] in problem.cause


def test_a_server_error_is_asked_about_again() -> None:
    def script(one: Conversation) -> None:
        one.answer(b"[7]") if one.number > 2 else one.answer(b"", "502 Bad Gateway")

    assert get(script).read(LIST) == [7]


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b'{"things": []}', b'["x"]', b"", b"[1", b"null"])
def test_an_answer_of_another_shape_is_no_answer(body: bytes) -> None:
    assert "unexpected shape" in refusal(lambda one: one.answer(body)).cause


@pytest.mark.parametrize("header", ["Retry-After: 1", "X-Sentry-Rate-Limit-Reset: 1", "X-No: 1"])
def test_a_rate_limit_is_waited_for(header: str) -> None:
    def script(one: Conversation) -> None:
        one.answer(b"[1]") if one.number > 1 else one.answer(b"{}", "429 Too Many Requests", header)

    assert get(script).read(LIST) == [1]


@pytest.mark.parametrize(
    "header",
    ["Retry-After: 3600", f"X-Sentry-Rate-Limit-Reset: {LATER}", "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT"],
)
def test_a_rate_limit_beyond_the_deadline_is_not_waited_for(header: str) -> None:
    with asked(lambda one: one.answer(b"{}", "429 Too Many Requests", header)) as (server, api):
        with pytest.raises(ObserverError, match="asked to wait"):
            api.get("/things")
        assert len(server.requests) == 1


def test_a_403_that_is_a_rate_limit_is_no_refusal() -> None:
    headers = ("X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {LATER}")
    problem = refusal(lambda one: one.answer(b"{}", "403 Forbidden", *headers))
    assert not isinstance(problem, NotPermitted)


def test_a_redirect_is_not_followed_with_the_token() -> None:
    with hostile(lambda one: one.answer(b"[1]")) as other:
        assert "redirects" in refusal(lambda one: one.answer(b"", "302 Found", f"Location: {other.url}/x")).cause
        assert not other.requests


def test_pages_are_followed_to_the_last() -> None:
    def script(one: Conversation) -> None:
        following = f'<{url[0]}/things?page={one.number + 1}>; rel="next"; results="{str(one.number < 3).lower()}"'
        one.answer(b"[%d]" % one.number, "200 OK", f"Link: {following}")

    url: list[str] = []
    with asked(script) as (server, api):
        url.append(server.url)
        assert [page.read(LIST) for page in api.pages("/things", {})] == [[1], [2], [3]]


def test_a_page_on_another_host_is_asked_for_where_the_token_belongs() -> None:
    with hostile(lambda one: one.answer(b"[1]")) as other:

        def script(one: Conversation) -> None:
            one.answer(b"[1]", "200 OK", *([f'Link: <{other.url}/things?c=2>; rel="next"'] if one.number == 1 else []))

        with asked(script) as (server, api):
            assert len(list(api.pages("/things", {"c": "1"}))) == 2
        assert server.requests[1].startswith("GET /things?c=2 ")
        assert not other.requests


def test_pages_in_a_circle_are_given_up() -> None:
    with (
        asked(lambda one: one.answer(b"[1]", "200 OK", 'Link: </things?c=1>; rel="next"')) as (_, api),
        pytest.raises(ObserverError, match="do not end"),
    ):
        list(api.pages("/things", {"c": "1"}))


@pytest.mark.parametrize(
    ("link", "following"),
    [
        ("", ""),
        ('<https://a/?c=1>; rel="previous"; results="false", <https://a/?c=2>; rel="next"; results="true"', "https://a/?c=2"),
        ('<https://a/?c=1>; rel="previous"; results="true", <https://a/?c=2>; rel="next"; results="false"', ""),
        ("<https://a/?c=1>;rel=previous;results=false<https://a/?c=2>;rel=next;results=true", "https://a/?c=2"),
        ('<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last"', "https://a/?page=2"),
        ("nonsense", ""),
    ],
)  # fmt: skip
def test_the_next_page_is_read_from_good_and_bad_headers(link: str, following: str) -> None:
    assert next_page(link) == following


@pytest.mark.parametrize("way", ["silent", "dripping"])
def test_an_answer_that_does_not_end_is_given_up(way: str) -> None:
    def script(one: Conversation) -> None:
        one.hold() if way == "silent" else one.trickle(b"HTTP/1.1 200 OK\r\n")

    assert "no complete answer within 500ms" in refusal(script, 0.5).cause


def test_nobody_there_is_the_observers() -> None:
    api = WebApi(System("Tower", f"http://127.0.0.1:{free_port()}"), TOKEN, 5)
    with pytest.raises(ObserverError, match="Tower GET /things"):
        api.get("/things")


@pytest.mark.parametrize("address", ["http://tower.example", "http://10.0.0.1", "http://127.0.0.1.example"])
def test_a_token_never_travels_in_the_clear(address: str) -> None:
    with pytest.raises(SettingsError, match="in the clear"):
        WebApi(System("Tower", address), TOKEN, 5)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_token_is_not_permitted_and_names_its_variable(value: str | None) -> None:
    variables = {} if value is None else {"TOWER_TOKEN": value}
    with pytest.raises(NotPermitted, match="TOWER_TOKEN"):
        token_of(variables, System("Tower", "https://tower.example", "TOWER_TOKEN"))


@pytest.mark.parametrize("token", ["tok\nen", "tökén"])
def test_a_token_that_no_header_can_carry_is_named(token: str) -> None:
    with pytest.raises(NotPermitted, match="characters"):
        WebApi(System("Tower", "https://tower.example", "TOWER_TOKEN"), token, 5)


def test_a_write_that_a_rate_limit_kept_out_is_sent_again_whole() -> None:
    def script(one: Conversation) -> None:
        one.answer(b"[1]") if one.number > 1 else one.answer(b"", "429 Too Many Requests", "Retry-After: 0")

    with asked(script) as (server, api):
        assert api.write("PUT", "/things/1", {"name": "x"}).read(LIST) == [1]
    assert [request.startswith("PUT /things/1 ") for request in server.requests] == [True, True]


def test_what_is_gone_already_is_deleted() -> None:
    with asked(lambda one: one.answer(b"", "404 Not Found")) as (_, api):
        api.write("DELETE", "/things/1")


@pytest.mark.parametrize("address", ["https://uploads.example/x", "http://127.0.0.1:1/x"])
def test_a_token_goes_to_no_address_that_is_not_the_systems_own(address: str) -> None:
    with asked(lambda one: one.answer(b"[1]")) as (server, api):
        with pytest.raises(ObserverError, match="not its own"):
            api.write("POST", address, content=b"report")
        assert api.write("POST", f"{server.url}/x", content=b"report").body == b"[1]"
        assert len(server.requests) == 1
