"""What the service is asked, and asked again: redirects, what is never sent elsewhere, 503."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.clients.hostile import Conversation, hostile
from tests.clients.service_questions import asked, client, problem
from verification.clients.service.client import user_agent
from verification.errors import ObserverError, ServiceError, VerificationError

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one


# --- what is shown of an address -----------------------------------------------------------------------------------


def test_an_address_is_shown_without_its_query_but_for_what_is_allowed() -> None:
    def answer(conversation: Conversation) -> None:
        conversation.answer(b'{"url": "https://cdn.example/a.m3u8?st=canary&e=1"}', status="404 Not Found")

    with hostile(answer) as server, client(server.url, shown_parameters=["q"]) as service:
        found = service.get("/search?q=news&st=canary")
        media = service.first_bytes(f"{server.url}/a.m3u8?st=canary#canary")
    assert found.question == f"GET {server.url}/search?q=news&…"
    assert media.question == f"GET {server.url}/a.m3u8?…"
    for one in (found, media):
        said = str(problem(one)) + one.status.note + one.snippet
        assert "https://cdn.example/a.m3u8?…" in said
        assert "canary" not in said


@pytest.mark.parametrize("address", ["ftp://cdn.example/a?st=canary", "https://169.254.169.254/a?st=canary"])
def test_an_address_that_is_not_asked_is_shown_without_its_query_too(address: str) -> None:
    with client("http://127.0.0.1:9") as service:
        answer = service.first_bytes(address)
    assert "canary" not in answer.question + str(problem(answer))


# --- what the service wants less often ------------------------------------------------------------------------------


def test_a_login_that_was_answered_429_is_not_sent_again_for_a_while() -> None:
    with hostile(lambda one: one.answer(b"slow down", "429 Too Many Requests")) as server:
        with client(server.url) as service:
            answers = [service.post("/login", {"password": "right"}) for _ in range(4)]
            service.post("/login", {"password": "wrong"}, repeatable=False)
            service.get("/login")
            service.get("/login")
        assert [request.partition(" ")[0] for request in server.requests] == ["POST", "POST", "GET", "GET"]
    said = [problem(answer) for answer in answers]
    assert all(type(one) is ObserverError and "429" in one.cause for one in said)
    assert "was not asked again" not in said[0].cause
    assert all("was not asked again" in one.cause for one in said[1:])


@pytest.mark.parametrize(
    ("header", "sent"), [("Retry-After: 0", 3), ("Retry-After: 3600", 1), ("Retry-After: soon", 1)]
)
def test_how_long_it_is_not_sent_is_what_the_service_asks_for(header: str, sent: int) -> None:
    with hostile(lambda one: one.answer(b"", "429 Too Many Requests", header)) as server:
        with client(server.url) as service:
            for _ in range(3):
                problem(service.post("/login", {"password": "right"}))
        assert len(server.requests) == sent


def test_users_who_find_no_instance_are_asked_for_on() -> None:
    refused = ("429 Too Many Requests", "Content-Type: text/html", "Server: Google Frontend")
    with hostile(lambda one: one.answer(b"Rate exceeded.", *refused)) as server:
        with client(server.url) as service:
            for _ in range(3):
                assert isinstance(problem(service.post("/login", {"password": "right"})), ServiceError)
        assert len(server.requests) == 3


# --- redirects, and what is never sent elsewhere -------------------------------------------------------------------


def test_a_redirect_loop_ends() -> None:
    with hostile(lambda one: one.answer(b"", "302 Found", "Location: /health")) as server:
        with client(server.url, timeout="20s") as service:
            said = problem(service.get("/health"))
        assert len(server.requests) == 6
    assert isinstance(said, ServiceError)
    assert "redirected more than 5 times" in str(said)


def test_a_redirect_on_the_same_address_is_followed_with_the_token() -> None:
    def script(one: Conversation) -> None:
        if one.number == 1:
            one.answer(b"", "302 Found", "Location: /there")
        else:
            one.answer(b"{}")

    with hostile(script) as server, client(server.url) as service:
        service.get("/here", token="t0ken-of-a-user").status.must_be(200)
        assert "GET /there " in server.requests[1]
        assert "Bearer t0ken-of-a-user" in server.requests[1]


@pytest.mark.parametrize("token", ["", "t0ken-of-a-user"])
def test_a_redirect_elsewhere_is_not_followed(token: str) -> None:
    with (
        hostile(lambda one: one.answer(b"{}")) as other,
        hostile(lambda one: one.answer(b"", "302 Found", f"Location: {other.url}/health")) as server,
    ):
        with client(server.url) as service:
            said = problem(service.get("/health", token=token))
        assert other.requests == []
    assert isinstance(said, ServiceError)
    assert other.url in str(said)


@pytest.mark.parametrize("location", ["http://[::1", "http://a b/", "file:///etc/passwd", "//", "http://h:99999/"])
def test_a_redirect_to_no_address_is_the_services_fault(location: str) -> None:
    said = problem(asked(lambda one: one.answer(b"", "302 Found", f"Location: {location}")))
    assert isinstance(said, ServiceError)


def test_a_login_is_not_sent_a_second_time_because_of_a_redirect() -> None:
    with (
        hostile(lambda one: one.answer(b"", "307 Temporary Redirect", "Location: /elsewhere")) as server,
        client(server.url) as service,
    ):
        answer = service.post("/login", {"password": "secret"})
        assert answer.code == 307
        assert len(server.requests) == 1


def test_media_is_asked_for_without_credentials_and_no_more_than_needed() -> None:
    def script(one: Conversation) -> None:
        one.send(b"HTTP/1.1 206 Partial Content\r\nContent-Type: Video/MP4; a=b\r\nContent-Length: 9000000\r\n\r\n")
        one.flood(b"x" * 1024)

    with hostile(script) as media, client("http://127.0.0.1:9", largest_answer_mb=0.01) as service:
        answer = service.first_bytes(f"{media.url}/video")
        assert "authorization" not in media.requests[0].lower()
        assert "range: bytes=0-1023" in media.requests[0].lower()
    answer.status.must_be_one_of(200, 206)
    answer.size.must_be(1024)
    answer.media_type.must_start_with_one_of("video/")


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/computeMetadata/v1/",
        "http://[fe80::1]/",
        "http://[fe80::1%25lo]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://metadata.google.internal/",
        "http://METADATA.google.INTERNAL./",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "//cdn.example/video",
        "/video",
        "http://",
        "http://[::1",
        "http://a\nb/",
        "http://127.0.0.1/\ud800",
        "",
        "x" * 100_000,
    ],
    ids=lambda address: ascii(address[:40]),
)
def test_media_at_an_address_that_points_inside_or_is_none_is_not_asked_for(address: str) -> None:
    with client("http://127.0.0.1:9") as service:
        answer = service.first_bytes(address)
    assert isinstance(answer.problem, ServiceError)
    assert "points into the network" in str(answer.problem) or "is not an" in str(answer.problem)
    assert len(str(answer.problem)) < 700


def test_media_does_not_lead_inside_by_a_redirect() -> None:
    with (
        hostile(lambda one: one.answer(b"", "302 Found", "Location: http://169.254.169.254/")) as media,
        client("http://127.0.0.1:9") as service,
    ):
        answer = service.first_bytes(media.url)
    assert isinstance(answer.problem, ServiceError)
    assert "points into the network" in str(answer.problem)


def test_a_host_name_that_is_none_is_the_fault_of_the_service_that_gave_it_out() -> None:
    with client("http://127.0.0.1:9", timeout="5s") as service:
        for host in ("a" * 64 + ".invalid", "a..invalid"):
            answer = service.first_bytes(f"http://{host}/")
            assert isinstance(answer.problem, VerificationError)


@pytest.mark.parametrize("token", ["a\r\nX-Injected: yes", "tok\u00e9n", "a\0b"])
def test_a_token_that_no_header_can_carry_is_the_services_fault_and_is_not_shown(token: str) -> None:
    with hostile(lambda one: one.answer(b"{}")) as server, client(server.url) as service:
        said = problem(service.get("/items", token=token))
        assert server.requests == []
    assert isinstance(said, ServiceError)
    assert token not in str(said)


def test_cookies_are_not_kept_and_the_suite_names_itself() -> None:
    def script(one: Conversation) -> None:
        status, location = ("302 Found", "Location: /there") if one.number == 1 else ("200 OK", "X-No: location")
        one.answer(b"{}", status, "Set-Cookie: session=1; Path=/", location)

    with hostile(script) as server, client(server.url) as service:
        for _ in range(2):
            service.get("/health").status.must_be(200)
        assert len(server.requests) == 3
        for request in server.requests:
            assert "cookie" not in request.lower()
            assert f"user-agent: {user_agent()}" in request.lower()


# --- asked again ---------------------------------------------------------------------------------------------------


def starting(times: int) -> Callable[[Conversation], None]:
    def script(one: Conversation) -> None:
        one.answer(b"{}", "503 Service Unavailable" if one.number <= times else "200 OK")

    return script


def test_a_start_that_is_not_finished_is_asked_once_more_and_says_so() -> None:
    with hostile(starting(1)) as server, client(server.url) as service:
        answer = service.get("/health")
        answer.status.must_be(200)
        assert "asked twice" in answer.status.note
        assert len(server.requests) == 2


def test_a_service_that_stays_at_503_fails_after_the_second_time() -> None:
    with hostile(starting(99)) as server, client(server.url) as service:
        said = problem(service.get("/health"))
        assert len(server.requests) == 2
    assert isinstance(said, ServiceError)
    assert "503" in str(said)
    assert "asked twice" in str(said)


def test_what_may_not_be_repeated_is_not_asked_again_after_503() -> None:
    """A wrong password: who answered 503 may have looked at it."""
    with hostile(starting(99)) as server, client(server.url) as service:
        assert service.post("/login", {"password": "wrong"}, repeatable=False).code == 503
        assert len(server.requests) == 1


@pytest.mark.parametrize("smoke", [{"within": "5ms"}, {}], ids=["the-phase-is-over", "impatient"])
def test_nothing_is_asked_again_when_there_is_no_time_for_it(smoke: dict[str, str]) -> None:
    with hostile(starting(99)) as server, client(server.url, **smoke) as service:
        service.get("/health", retry_503=bool(smoke))
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "404 Not Found", "429 Too Many Requests"])
def test_only_503_is_asked_again(status: str) -> None:
    with hostile(lambda one: one.answer(b"", status)) as server, client(server.url) as service:
        problem(service.get("/health"))
        assert len(server.requests) == 1


def test_a_limit_on_how_often_we_may_ask_is_not_the_services_fault() -> None:
    """Else a CI machine that asks too often would roll a healthy production back."""
    with hostile(lambda one: one.answer(b"", "429 Too Many Requests")) as server, client(server.url) as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert "429" in str(said)


def test_a_connection_that_the_service_closes_after_an_answer_does_not_spoil_the_next_question() -> None:
    """A server may close an idle connection just as it is asked again; that is no fault of a revision."""
    first = threading.Event()

    def script(one: Conversation) -> None:
        if first.is_set() and one.connection is connection[0]:
            one.connection.close()
            return
        connection.append(one.connection)
        first.set()
        one.answer(b"{}")

    connection: list[object] = []
    with hostile(script) as server, client(server.url) as service:
        for _ in range(3):
            service.get("/health").status.must_be(200)
