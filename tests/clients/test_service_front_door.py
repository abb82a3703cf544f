"""Who answered instead of a revision: front end, IAM, IAP, firewalls, proxies, other people's hosts; and who did not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.clients.hostile import Conversation, hostile
from tests.clients.service_questions import asked, client, problem
from verification.errors import (
    AnsweredForTheOrigin,
    NoInstance,
    NotPermitted,
    NotRevisionRelated,
    ObserverError,
    ServiceError,
    VerificationError,
)

pytestmark = pytest.mark.timeout(60)  # no question may outlive its own limit; this is for a client without one

HTML = "Content-Type: text/html; charset=UTF-8"
GOOGLE = "Server: Google Frontend"


def page(title: str, heading: str, text: str) -> bytes:
    """An error page of Cloud Run's own front end."""
    return (
        '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
        f"<h1>Error: {heading}</h1>\n<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    ).encode()


def balancer(status: str) -> bytes:
    """What Google's load balancer says, also in the name of Cloud Armor."""
    code = status[:3]
    return (
        '<!doctype html><meta charset="utf-8"><meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{code}</title>{status}"
    ).encode()


FORBIDDEN = page(
    "403 Forbidden",
    "Forbidden",
    "Your client does not have permission to get URL <code>/health</code> from this server.",
)
UNAUTHORIZED = page(
    "401 Unauthorized",
    "Unauthorized",
    "Your client does not have permission to the requested URL <code>/health</code>.",
)
NOT_FOUND = page("404 Page not found", "Page not found", "The requested URL was not found on this server.")
ROBOT = (
    b"<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <title>Error 404 (Not Found)!!1</title>\n  <p><b>404.</b>"
    b" <ins>That\xe2\x80\x99s an error.</ins>\n  <p>The requested URL <code>/healthz</code> was not found on this server."
)
CHALLENGE = b"<!DOCTYPE html><html lang=en-US><head><title>Just a moment...</title>"
BLOCKED = (
    b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>"
    b'<div id="cf-error-details"><h1 data-translate="block_headline">Sorry, you have been blocked</h1></div>'
)
CF_PAGE = (
    b"<!DOCTYPE html>\n<html lang=en-US><head>\n<title>api.example | 525: SSL handshake failed</title></head><body>"
    b'<div id="cf-wrapper"><div id="cf-error-details" class="p-0"><h1><span>SSL handshake failed</span>'
    b"<span>Error code 525</span></h1>"
)
CF_JSON = b'{"title": "Error 1010: Access denied", "status": 403, "error_code": 1010, "cloudflare_error": true}'
CF_JSON_526 = b'{"title":"Error 526: Invalid SSL certificate","status":526,"cloudflare_error":true,"retryable":false}'
CF = ["Server: cloudflare", "CF-RAY: 8a"]
TEXT = "Content-Type: text/plain; charset=UTF-8"
AKAMAI = (
    b"<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nReference&#32;&#35;18&#46;c520"
)
INCAPSULA = b"<html><body><iframe>Request unsuccessful. Incapsula incident ID: 1234-5678</iframe></body></html>"
SQUID = b"<!DOCTYPE html><html><head><title>ERROR: The requested URL could not be retrieved</title></head></html>"

# Who answered, with which status, page and headers.
IN_FRONT: dict[str, tuple[str, str, bytes, list[str]]] = {
    "iam-403": ("IAM", "403 Forbidden", FORBIDDEN, [HTML, GOOGLE]),
    "iam-401": ("IAM", "401 Unauthorized", UNAUTHORIZED, [HTML, GOOGLE, 'WWW-Authenticate: Bearer error="invalid_token"']),
    "iap-401": ("Identity-Aware Proxy", "401 Unauthorized", b"Invalid IAP credentials", ["X-Goog-IAP-Generated-Response: true"]),
    "iap-redirects": (
        "Identity-Aware Proxy",
        "302 Found",
        b"",
        ["X-Goog-IAP-Generated-Response: true", "Location: https://accounts.google.com/o/oauth2/v2/auth?client_id=1"],
    ),
    "no-such-service": ("front end", "404 Not Found", NOT_FOUND, [HTML, GOOGLE]),
    "path-of-googles-own": ("front end", "404 Not Found", ROBOT, [HTML]),
    "cloud-armor-403": ("Cloud Armor", "403 Forbidden", balancer("403 Forbidden"), [HTML]),
    "cloud-armor-429": ("Cloud Armor", "429 Too Many Requests", balancer("429 Too Many Requests"), [HTML, "Via: 1.1 google"]),
    "cloudflare-challenge": ("Cloudflare", "403 Forbidden", CHALLENGE, [HTML, "Server: cloudflare", "cf-mitigated: challenge"]),
    "cloudflare-block": ("Cloudflare", "403 Forbidden", BLOCKED, [HTML, "Server: cloudflare", "CF-RAY: 8"]),
    "cloudflare-rate": ("Cloudflare", "429 Too Many Requests", b"error code: 1015", ["Server: cloudflare"]),
    "cloudflare-as-json": ("Cloudflare", "403 Forbidden", CF_JSON, ["Content-Type: application/json", *CF]),
    "cloudflare-dns": ("Cloudflare", "409 Conflict", b"error code: 1001", [TEXT, *CF]),
    "cloudflare-525": ("Cloudflare", "525 <none>", b"error code: 525", [TEXT, *CF]),
    "cloudflare-525-page": ("Cloudflare", "525 <none>", CF_PAGE, [HTML, *CF]),
    "cloudflare-526-as-json": ("Cloudflare", "526 <none>", CF_JSON_526, ["Content-Type: application/json", *CF]),
    "cloudflare-527": ("Cloudflare", "527 <none>", b"error code: 527", [TEXT, *CF]),
    "cloudflare-530": ("Cloudflare", "530 <none>", b"error code: 1016", [TEXT, *CF]),
    "cloudflare-access": (
        "Cloudflare Access", "302 Found", b"", ["Location: https://team.cloudflareaccess.com/cdn-cgi/access/login/api"],
    ),
    "cloudfront": ("CloudFront", "403 Forbidden", b"<HTML>", [HTML, "Server: CloudFront", "X-Cache: Error from cloudfront"]),
    "aws-waf": ("AWS WAF", "202 Accepted", b"", ["Server: CloudFront", "x-amzn-waf-action: challenge"]),
    "akamai": ("Akamai", "403 Forbidden", AKAMAI, [HTML, "Server: AkamaiGHost"]),
    "imperva": ("Imperva", "403 Forbidden", INCAPSULA, [HTML, "X-Iinfo: 9-1-1"]),
    "squid": ("proxy", "403 Forbidden", SQUID, [HTML, "Server: squid/6.1", "X-Squid-Error: ERR_ACCESS_DENIED 0"]),
    "proxy-wants-a-login": ("proxy", "407 Proxy Authentication Required", b"", ["Proxy-Authenticate: Basic"]),
}  # fmt: skip


@pytest.mark.parametrize("case", IN_FRONT)
def test_what_was_answered_in_front_of_every_revision_is_nobodys_failure(case: str) -> None:
    who, status, body, headers = IN_FRONT[case]
    answer = asked(lambda one: one.answer(body, status, *headers))
    said = problem(answer)
    assert isinstance(said, ObserverError)
    assert who in str(said)
    assert said.remedy
    if status[:3] in {"401", "403"}:
        assert isinstance(said, NotPermitted)
    with pytest.raises(ObserverError):
        answer.must_say({"status": "healthy"})


def test_a_wrong_password_that_was_refused_in_front_has_not_been_refused() -> None:
    with hostile(lambda one: one.answer(UNAUTHORIZED, "401 Unauthorized", HTML, GOOGLE)) as server:
        with client(server.url) as service:
            refused = service.post("/login", {"password": "wrong"}, repeatable=False)
        assert len(server.requests) == 1
    with pytest.raises(ObserverError):
        refused.status.must_be(401)


OWN = b'{"detail": "Not Found"}'
JSON = "Content-Type: application/json"
THROUGH = [GOOGLE, "Via: 1.1 google", "X-Cloud-Trace-Context: 1"]  # as every answer of Cloud Run's has them


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        ("404 Not Found", OWN, [JSON, *THROUGH]),
        ("403 Forbidden", b'{"detail": "account locked"}', [JSON, *THROUGH]),
        ("401 Unauthorized", b'{"detail": "bad credentials"}', [JSON, *THROUGH]),
        ("403 Forbidden", b"<html><title>403 Forbidden</title><h1>Forbidden</h1>", [HTML, *THROUGH]),
        ("404 Not Found", b"<title>404 Page not found</title>Our own page", [HTML, *THROUGH]),
        ("403 Forbidden", b'{"detail": "no"}', [JSON, "Server: cloudflare", "CF-RAY: 8", "cf-cache-status: DYNAMIC"]),
        ("403 Forbidden", b'{"detail": "no"}', [JSON, "Server: Google Frontend", "X-Cache: Miss from cloudfront"]),
        ("404 Not Found", json.dumps({"page": ROBOT.decode()}).encode(), [JSON, *THROUGH]),
        ("500 Internal Server Error", page("500 Server Error", "Server Error", "The server encountered an error"), [HTML, GOOGLE]),
        ("503 Service Unavailable", page("503 Server Error", "Server Error", "not available yet"), [HTML, GOOGLE]),
        ("502 Bad Gateway", page("502 Server Error", "Server Error", "a temporary error"), [HTML, *THROUGH]),
        ("500 Oops", b"error code: 1101", [TEXT, *CF]),  # a worker in front may stumble over what the service said
        ("530 <none>", b'{"message": "A server error occurred."}', [JSON, *CF]),  # a rule may make any 5xx a 530
        ("525 <none>", b"error code: 525", [TEXT, *CF, *THROUGH[1:]]),  # of somebody else, handed on by the service
        ("403 Forbidden", CF_JSON, [JSON, *CF, *THROUGH[1:]]),
    ],
)  # fmt: skip
def test_what_the_service_answers_itself_or_fails_to_is_its_own_failure(
    status: str, body: bytes, headers: list[str]
) -> None:
    """Its own front end stands in the headers of every answer, and speaks for it where it has crashed."""
    said = problem(asked(lambda one: one.answer(body, status, *headers)))
    assert type(said) is ServiceError
    assert status[:3] in str(said)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        ("502 Bad Gateway", balancer("502 Bad Gateway"), [HTML]),
        ("502 Bad Gateway", page("502 Server Error", "Server Error", "a temporary error"), [HTML, "Via: 1.1 google"]),
        *(
            (f"{code} <none>", f"error code: {code}".encode(), [TEXT, *CF])
            for code in (502, 504, 520, 521, 522, 523, 524)
        ),
    ],
)
def test_who_speaks_for_the_service_may_have_lost_the_way_to_it(status: str, body: bytes, headers: list[str]) -> None:
    said = problem(asked(lambda one: one.answer(body, status, *headers)))
    assert type(said) is AnsweredForTheOrigin
    assert status[:3] in str(said)


@pytest.mark.parametrize("body", [b"Rate exceeded.", b"<html><body>Rate exceeded.</body></html>"])
def test_users_who_are_refused_for_want_of_instances_are_the_releases_failure(body: bytes) -> None:
    said = problem(asked(lambda one: one.answer(body, "429 Too Many Requests", HTML, GOOGLE)))
    assert type(said) is NoInstance
    assert "no available instance" in str(said)


@pytest.mark.parametrize(
    "answer",
    [
        lambda one: one.answer(b'{"detail": "Rate exceeded."}', "429 Too Many Requests", JSON, GOOGLE),
        lambda one: one.answer(b"Rate exceeded.", "429 Too Many Requests", "Server: nginx"),
        lambda one: one.answer(b"", "429 Too Many Requests", GOOGLE, "Retry-After: 1"),
    ],
    ids=["json", "no-cloud-run", "bare"],
)
def test_a_limit_of_the_services_own_says_nothing_about_the_release(answer: Callable[[Conversation], None]) -> None:
    said = problem(asked(answer))
    assert isinstance(said, ObserverError)
    assert "429" in str(said)


# --- other people's hosts ------------------------------------------------------------------------------------------


def closes(one: Conversation) -> None:
    one.connection.close()


def silent(one: Conversation) -> None:
    one.hold()


def media_of_another_host(script: Callable[[Conversation], None]) -> VerificationError:
    with hostile(script) as cdn, client("http://127.0.0.1:9") as service:
        return problem(service.first_bytes(f"{cdn.url}/video"))


@pytest.mark.parametrize(
    "script",
    [
        lambda one: one.answer(b"", "503 Service Unavailable"),
        lambda one: one.answer(b"", "500 Oops"),
        lambda one: one.answer(b"", "404 Not Found"),
        lambda one: one.answer(b"", "403 Forbidden"),
        lambda one: one.answer(b"", "302 Found", "Location: /video"),
        closes,
        silent,
    ],
    ids=["503", "500", "404", "403", "loop", "closes", "silent"],
)
def test_media_that_another_host_does_not_give_is_bad_and_no_revisions(script: Callable[[Conversation], None]) -> None:
    """Users meet it as well, so it does not pass; going back to another revision would not mend it."""
    said = media_of_another_host(script)
    assert isinstance(said, NotRevisionRelated)
    assert "127.0.0.1" in str(said)


@pytest.mark.parametrize(
    "script",
    [
        lambda one: one.answer(BLOCKED, "403 Forbidden", HTML, "Server: cloudflare"),
        lambda one: one.answer(b"", "429 Too Many Requests"),
    ],
    ids=["firewall", "too-often"],
)
def test_media_that_another_host_keeps_from_this_machine_says_nothing(script: Callable[[Conversation], None]) -> None:
    assert isinstance(media_of_another_host(script), ObserverError)


def test_media_of_the_service_itself_is_its_own_failure() -> None:
    with hostile(lambda one: one.answer(b"", "404 Not Found")) as server, client(server.url) as service:
        said = problem(service.first_bytes(f"{server.url}/video"))
    assert type(said) is ServiceError


@pytest.mark.parametrize(
    "there", [lambda one: one.answer(b"", "503 Service Unavailable"), closes, silent], ids=["503", "closes", "silent"]
)
def test_media_is_the_failure_of_the_host_to_which_it_was_redirected(there: Callable[[Conversation], None]) -> None:
    with (
        hostile(there) as cdn,
        hostile(lambda one: one.answer(b"", "302 Found", f"Location: {cdn.url}/video")) as server,
        client(server.url) as service,
    ):
        said = problem(service.first_bytes(f"{server.url}/video"))
        assert len(cdn.requests) >= 1
    assert isinstance(said, NotRevisionRelated)
    assert cdn.url.partition("//")[2] in str(said)


def test_media_of_another_host_that_comes_is_good() -> None:
    with (
        hostile(lambda one: one.answer(b"x", "206 Partial Content", "Content-Type: video/mp4")) as cdn,
        client("http://127.0.0.1:9") as service,
    ):
        answer = service.first_bytes(f"{cdn.url}/video")
    answer.status.must_be_one_of(200, 206)
    answer.media_type.must_start_with_one_of("video/")
