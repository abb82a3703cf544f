"""The client of the service against servers that misbehave: whom it blames, what it says, and that it ends."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import resource
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.hostile import Authority, Conversation, Script, free_port, hostile
from verification.clients.service.answer import Answer
from verification.clients.service.client import Service, user_agent
from verification.errors import NotAsked, NotRevisionRelated, ObserverError, ServiceError, VerificationError
from verification.redaction import redact, register
from verification.settings.service import ListFlow, Smoke, Target

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one

ROOT = Path(__file__).parents[2]
HTML = b"<!doctype html><title>It works!</title>"


@contextmanager
def client(url: str, ca_file: str | None = None, **smoke: str | float) -> Iterator[Service]:
    """A client that waits half a second for an answer, and asks again after a moment."""
    settings = Smoke.model_validate({"timeout": "500ms", "retry_after": "10ms", **smoke})
    service = Service(Target(url=url, ca_file=ca_file), settings)
    try:
        yield service
    finally:
        service.close()


def asked(script: Script, **smoke: str | float) -> Answer:
    """What the client makes of a server that plays `script`."""
    with hostile(script) as server, client(server.url, None, **smoke) as service:
        return service.get("/health")


def problem(answer: Answer) -> VerificationError:
    """What a criterion is told that asks this answer for its status."""
    with pytest.raises(VerificationError) as caught:
        answer.status.must_be(200)
    return caught.value


def chunked(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


# --- an answer that never comes, or never ends ---------------------------------------------------------------------------


def silent(conversation: Conversation) -> None:
    conversation.hold()


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


# --- broken answers ------------------------------------------------------------------------------------------------------


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


# --- no connection -------------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_the_services_fault() -> None:
    with client(f"http://127.0.0.1:{free_port()}") as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ServiceError)
    assert "connection refused" in str(said)


def test_a_name_that_does_not_resolve_says_nothing_about_the_service() -> None:
    with client("http://nobody.invalid", timeout="5s") as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert "nobody.invalid" in str(said)
    assert said.remedy


def test_a_fault_of_this_machine_says_nothing_about_the_service() -> None:
    """Here: no file handle is left for a connection."""
    script = """
import os, resource
from verification.clients.service.client import Service
from verification.settings.service import Smoke, Target
service = Service(Target(url="http://127.0.0.1:9"), Smoke())
service.get("/health")  # so that the client itself is not what runs out
free = os.open("/dev/null", os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
print(type(service.get("/health").problem).__name__)
service.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "ObserverError\n", done.stderr


def test_a_handshake_that_never_comes_says_nothing_about_the_revision() -> None:
    """TLS ends at the front door, before any revision."""
    with hostile(silent) as server, client(server.url.replace("http:", "https:")) as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)


# --- certificates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "host", "known", "told"),
    [
        (30, "127.0.0.1", False, "unable to get local issuer certificate"),
        (-1, "127.0.0.1", True, "expired"),
        (30, "other.example", True, "IP address mismatch"),
    ],
    ids=["unknown-authority", "expired", "another-host"],
)
def test_a_bad_certificate_is_the_services_fault_and_no_revisions(
    tmp_path: Path, days: int, host: str, known: bool, told: str
) -> None:
    authority = Authority.create(tmp_path)
    tls = authority.server(dt.timedelta(days=days), host)
    with (
        hostile(lambda one: one.answer(b"{}"), tls) as server,
        client(server.url, str(authority.file) if known else None) as service,
    ):
        said = problem(service.get("/health"))
        assert server.requests == [], "nothing may be sent over a connection that is not trusted"
    assert isinstance(said, NotRevisionRelated)
    assert told in str(said)


def test_a_good_certificate_of_a_private_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    tls = authority.server(dt.timedelta(days=30))
    with hostile(lambda one: one.answer(b"{}"), tls) as server, client(server.url, str(authority.file)) as service:
        service.get("/health").status.must_be(200)


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_an_authority_file_of_no_use_says_nothing_about_the_service(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with client("https://127.0.0.1:9", str(file)) as service:
        said = problem(service.get("/health"))
    assert isinstance(said, ObserverError)
    assert str(file) in str(said)


# --- redirects, and what is never sent elsewhere -------------------------------------------------------------------------


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


# --- asked again ---------------------------------------------------------------------------------------------------------


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


# --- the end -------------------------------------------------------------------------------------------------------------


def test_closing_ends_a_question_that_is_still_open_and_blames_nobody() -> None:
    begun = threading.Event()
    answers: list[Answer] = []

    def script(one: Conversation) -> None:
        begun.set()
        one.hold()

    with hostile(script) as server, client(server.url, timeout="300s") as service:
        thread = threading.Thread(target=lambda: answers.append(service.get("/health")), daemon=True)
        thread.start()
        assert begun.wait(20)
        service.close()
        thread.join(20)
    assert isinstance(answers[0].problem, NotAsked)


def test_after_closing_nothing_is_asked_and_no_thread_is_left() -> None:
    threads = threading.active_count()
    with hostile(lambda one: one.answer(b"{}")) as server:
        with client(server.url) as service:
            service.get("/health").status.must_be(200)
        assert isinstance(service.get("/health").problem, NotAsked)
        assert len(server.requests) == 1
    assert threading.active_count() <= threads


def test_a_client_that_nobody_closed_does_not_keep_the_process_from_ending() -> None:
    script = """
from verification.clients.service.client import Service
from verification.settings.service import Smoke, Target
service = Service(Target(url="http://127.0.0.1:9"), Smoke())
print(service.get("/health").problem)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=30, check=True)


def test_many_questions_at_once_have_an_answer_each() -> None:
    with (
        hostile(lambda one: one.answer(one.request.split()[1].encode())) as server,
        client(server.url, timeout="20s") as service,
    ):
        bodies: dict[str, bytes] = {}
        threads = [
            threading.Thread(target=lambda path=f"/{n}": bodies.update({path: service.get(path).body}))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert bodies == {f"/{n}": f"/{n}".encode() for n in range(20)}


def test_a_proxy_that_refuses_is_not_the_services_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a broken proxy of ours would roll a healthy production back."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    service = Service(Target(url="http://service.invalid"), Smoke(timeout="5s", retry_after="200ms"))  # type: ignore[arg-type]
    answer = service.get("/health")
    service.close()
    assert isinstance(answer.problem, ObserverError)
    assert "HTTP_PROXY" in str(answer.problem)
