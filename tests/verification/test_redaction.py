"""Nothing that was registered as a secret leaves the process, in whatever disguise."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from string import ascii_letters, digits
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from verification.redaction import HIDDEN, Redactor, redact, register_variables, shown_address, without_queries

SECRETS = st.text(min_size=5, max_size=40).filter(lambda text: len(text.strip()) >= 5 and text not in HIDDEN)
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=5, max_size=40).filter(
    lambda text: text not in HIDDEN
)
AROUND = st.text(max_size=30)
DISGUISES = {
    "raw": str,
    "url": lambda text: quote(text, safe=""),
    "url with slashes": quote,
    "form": quote_plus,
    "url in lower case": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "json": lambda text: json.dumps(text)[1:-1],
    "json in unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "html": escape,
    "html as templates write it": lambda text: escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "url as httpx has a password": lambda text: quote(text, safe="!$&'()*+,;="),
    "url as a path": lambda text: quote(text, safe="!$&'()*+,;=:@/"),
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json in html": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].translate(
        {ord(one): f"\\u{ord(one):04x}" for one in "<>&"}
    ),
    "bytes": lambda text: repr(text.encode())[2:-1],
}


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.register(secret)
    return made


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_secret_is_hidden_in_each_disguise(disguise: type[str], data: st.DataObject) -> None:
    secret, before, after = data.draw(SECRETS), data.draw(AROUND), data.draw(AROUND)
    shown = disguise(secret)
    assume(shown not in before + HIDDEN + after)
    assert shown not in redactor(secret).redact(f"{before}{shown}{after}")


@given(st.binary(max_size=20), PRINTABLE, st.binary(max_size=20), st.booleans())
def test_a_secret_is_hidden_in_base64_wherever_it_begins(before: bytes, secret: str, after: bytes, url: bool) -> None:
    """As in `Authorization: Basic`, where a name and a colon of any length come first."""
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    text = encode(before + secret.encode() + after).decode()
    cleaned = redactor(secret).redact(text)
    assert HIDDEN in cleaned
    for part in cleaned.split(HIDDEN):
        for cut in range(4):
            piece = part[cut:]
            decoded = base64.b64decode(piece[: len(piece) // 4 * 4].replace("-", "+").replace("_", "/"))
            assert secret.encode() not in decoded or secret.encode() in before + after


@given(PRINTABLE, AROUND)
def test_a_secret_is_hidden_in_the_repr_of_a_longer_text(secret: str, around: str) -> None:
    text = repr(f"{around}'\"{secret}")
    assume(repr("'\"" + secret)[4:-1] not in repr(around))
    assert repr("\"'" + secret)[4:-1] not in redactor(secret).redact(text)


@given(st.lists(PRINTABLE, min_size=1, max_size=5), st.lists(AROUND, min_size=6, max_size=6))
def test_of_several_secrets_none_is_left(secrets: list[str], around: list[str]) -> None:
    assume(not any(secret in "".join(around) + HIDDEN * 2 for secret in secrets))
    text = "".join(part for pair in zip(around, secrets, strict=False) for part in pair)
    cleaned = redactor(*secrets).redact(text)
    assert not any(secret in cleaned for secret in secrets)


@given(PRINTABLE, st.integers(1, 4))
def test_secrets_that_overlap_leave_no_remainder(text: str, cut: int) -> None:
    assume(len(text) >= 5 + cut)
    assert redactor(text[:-cut], text[cut:]).redact(f" {text} ") in {f" {HIDDEN} ", f" {HIDDEN}{HIDDEN} "}


def test_a_secret_inside_another_leaves_no_remainder() -> None:
    assert redactor("hunter", "hunter-and-gatherer").redact("<hunter-and-gatherer>") == f"<{HIDDEN}>"


@given(st.lists(PRINTABLE, max_size=3), st.text())
def test_cleaning_twice_is_the_same_as_cleaning_once(secrets: list[str], text: str) -> None:
    made = redactor(*secrets)
    for secret in secrets:
        text += f" {secret} https://{secret}@host/?token={secret} Bearer {secret}"
    once = made.redact(text)
    assume(not any(secret in HIDDEN * 2 for secret in secrets))
    assert made.redact(once) == once


@given(st.text(st.characters(exclude_characters='@"?&')))
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assume("bearer" not in text.lower())
    assume("basic" not in text.lower())
    assert redactor("hunter22hunter22").redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication is on, bearer authentication is off",
        "https://api.example/@user/a?sort_key=name&page=2#key",
        "https://api.example:8443/?email=a@b.example",
        "mail a@b.example, see the password policy; tokens: 3",
        "login status is 500, expected 200 (GET https://api.example/api/v1/auth/login)",
    ],
)
def test_ordinary_words_are_not_taken_for_secrets(text: str) -> None:
    assert redactor().redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "mongodb+srv://user:S3CRET@cluster.example/db",
        "https://S3CRET@github.example/a.git",
        "https://user:S3@CRET@host/",
        "https://user:@S3CRET@host/",
        "Authorization: Bearer S3CRETS3CRET.abc-_/+=",
        "authorization: basic dXNlcjpwYXNzS3CRET=",
        "GET /a?key=S3CRET",
        "GET /a?a=b&access_token=S3CRET&c=d",
        "GET /a?X-Goog-Signature=S3CRET&X-Amz-Security-Token=S3CRET&X-Amz-Credential=S3CRET&sig=S3CRET&Policy=S3CRET",
        '{"access_token": "S3CRET", "password":"S3CRET\\"S3CRET", "Set-Cookie": "S3CRET"}',
        '{"client_secret" : "S3CRET',
    ],
)
def test_what_looks_like_a_credential_is_hidden_although_nobody_registered_it(text: str) -> None:
    cleaned = redactor().redact(text)
    assert HIDDEN in cleaned
    assert "S3" not in cleaned
    assert "CRET" not in cleaned


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.S3CRET-_S3CRET"
MEDIA = "https://cdn.example/live/master.m3u8"


@pytest.mark.parametrize(
    "text",
    [
        f"{MEDIA}?jwt=S3CRET",
        f"{MEDIA}?hdnts=st=1700000000~exp=1700003600~acl=/*~id=7~data=x!y~hmac=S3CRET",
        f"{MEDIA}?hdnea=exp=1~acl=%2f*~hmac=S3CRET&page=2",
        f"{MEDIA}?hdntl=exp=1~acl=/*~hmac=S3CRET",
        "https://cdn.example/hdntl=exp=1~acl=%2f*~hmac=S3CRET/master.m3u8",
        f"{MEDIA}?__gda__=1_S3CRET&__token__=exp=1~hmac=S3CRET",
        f"{MEDIA}?hmac=S3CRET&auth=S3CRET&sig=S3CRET&auth_key=1-0-0-S3CRET",
        f"{MEDIA}?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=S3CRET%2Fauto&X-Goog-Signature=S3CRET",
        f"{MEDIA}?X-Amz-Signature=S3CRET&X-Amz-Security-Token=S3CRET//S3CRET==",
        f"{MEDIA}?Expires=1&Signature=S3CRET~S3CRET__&Key-Pair-Id=S3CRET",
        f"{MEDIA}?sv=2022-11-02&sr=b&sig=S3CRET%2BS3CRET%3D&se=2030-01-01",
        f"{MEDIA}?a=b&amp;jwt=S3CRET&amp;c=d",
        f"{MEDIA}?a=b\\u0026auth=S3CRET\\u0026c=d",
        "https:\\/\\/cdn.example\\/a?sig=S3CRET\\/S3CRET",
        "https://app.example/?to=https%3A%2F%2Fcdn.example%2Fa%3Fjwt%3DS3CRET%26c%3Dd",
        "https://app.example/?to=https%253A%252F%252Fcdn.example%252Fa%253Fauth%253DS3CRET",
        "https://app.example/callback#access_token=S3CRET&state=a",
        f"it said {JWT} and no more",
        f"https://cdn.example/{JWT}/master.m3u8",
        f"https://cdn.example/a?t={JWT}",
        f"a%3D{JWT}%26b",
        f"{{\\n{JWT}}}",
        JWT[:40] + "S3CRET",
        '{"token":"S3CRET"}',
        '{"items": [{"playbackToken" : "S3CRET", "url": "a"}]}',
        '{"sessionToken": "S3CRET\\"S3CRET", "jwt": "S3CRET", "drm_signature": "S3CRET"}',
        '{"body": "{\\"token\\": \\"S3CRET\\", \\"a\\": 1}"}',
        '{\\\\\\"token\\\\\\":\\\\\\"S3CRET',
        "{'token': 'S3CRET', 'a': 1}",
        "[(b'set-cookie', b'sid=S3CRET; Path=/')]",
        "{'set-cookie': 'sid=S3CRET; Path=/'}",
        "HTTP/1.1 200\r\nSet-Cookie: sid=S3CRET; Path=/; S3CRET=1\r\nDate: today",
        'set-cookie: sid="S3CRET"; Path=/',
        "GET / HTTP/1.1\nCookie: sid=S3CRET; other=S3CRET",
    ],
)
def test_what_signs_a_media_address_or_a_session_is_hidden(text: str) -> None:
    cleaned = redactor().redact(text)
    assert HIDDEN in cleaned
    assert "S3" not in cleaned
    assert "CRET" not in cleaned
    assert redactor().redact(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "the jwt is missing, the token: none; cookie: off",
        "sig is bad, auth=off, key = 3",
        f"{MEDIA}?page=2&author=a&design=b&monkey=c&authority=d",
        '{"tokens": 3, "name": "token", "nothing": ""}',
        "eyJ is how it begins. eyJhbGciOiJIUzI1NiJ9 alone says nothing",
        '{"set-cookie": ""}',
    ],
)
def test_words_about_credentials_are_none(text: str) -> None:
    assert redactor().redact(text) == text


@pytest.mark.parametrize(
    "said",
    [
        f"{MEDIA}?a=b&jwt=S3CRET",
        "Set-Cookie: sid=S3CRET",
        "Set-Cookie: sid=",
        '{"token":"S3CRET',
        JWT,
        '{"token":"S3CRET", "a": "\\\\',
    ],
)
def test_a_document_of_json_stays_one_when_it_is_cleaned_as_a_whole(said: str) -> None:
    document = json.dumps({"reason": said, "next": ["v", {"url": f"{MEDIA}?sig=S3CRET"}], "last": "it"})
    cleaned = json.loads(redactor().redact(document))
    assert (cleaned["next"][0], cleaned["last"]) == ("v", "it")
    assert "S3CRET" not in str(cleaned)


NAMES = (
    "jwt", "hdnts", "hdnea", "hmac", "auth", "sig", "token", "X-Goog-Signature", "X-Amz-Signature", "Signature", "access_token",
)  # fmt: skip
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'&<>\\"), min_size=1)
PIECES = st.lists(
    st.sampled_from([
        "?", "&", ";", "#", "=", "%3D", "%26", '"', "\\", '\\"', "'", ":", ", ", "}", ".", "/", "@", "://", "\n", "\r\n", " ",
        "eyJ", "eyJhbGciOi", "abcDEF123", "[redacted]", "jwt", "hmac", "token", "auth", '"token":"', '\\"token\\":\\"', "'token': '",
        "Set-Cookie: ", "Cookie: ", "a=b", "https", "Bearer ", "\\u0026", "x-amz-signature", "<", ">",
    ]), max_size=40,
).map("".join)  # fmt: skip


@given(st.sampled_from(NAMES), VALUES, st.sampled_from(["", "&a=b", " and", '"', "'>", "\n"]))
def test_no_tail_of_a_signature_survives(name: str, secret: str, after: str) -> None:
    address = f"{MEDIA}?a=b&{name}="
    cleaned = redactor().redact(f"{address}{secret}{after}")
    assert cleaned == f"{address}{HIDDEN}{after}"


@given(
    st.text(st.characters(categories=[], include_characters=ascii_letters + digits + "-_"), min_size=3),
    st.integers(0, 200),
)
def test_no_tail_of_a_json_web_token_survives(signature: str, cut: int) -> None:
    whole = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.{signature}"
    shown = whole[: max(len(whole) - cut, 25)]
    assert redactor().redact(f"a {shown} b") == f"a {HIDDEN} b"


@settings(max_examples=500)
@given(PIECES)
def test_what_looks_like_a_credential_is_cleaned_once_and_for_all_and_takes_little_room(text: str) -> None:
    once = redactor().redact(text)
    assert redactor().redact(once) == once
    assert len(once) <= 6 * len(text) + len(HIDDEN)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://a.example/p", "https://a.example/p"),
        ("https://a.example/p?", "https://a.example/p"),
        ("https://a.example/p?q=a%20b&limit=3", "https://a.example/p?q=a%20b&limit=3"),
        ("https://a.example/p?q=a&st=S3CRET", "https://a.example/p?q=a&…"),
        ("https://a.example/p?S3CRET#S3CRET", "https://a.example/p?…"),
        ("https://a.example/p#S3CRET?q=S3CRET", "https://a.example/p"),
        ("/p?x=S3CRET&q=a&q=b", "/p?q=a&q=b&…"),
    ],
)
def test_an_address_is_shown_without_its_query_but_for_what_somebody_allowed(address: str, shown: str) -> None:
    assert shown_address(address, ["q", "limit"]) == shown
    assert shown_address(shown, ["q", "limit"]) == shown
    assert "S3CRET" not in shown_address(address)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            '{"url": "https://a.example:8443/p?st=S3CRET&e=1", "page": 2}',
            '{"url": "https://a.example:8443/p?…", "page": 2}',
        ),
        (
            '{\\"url\\":\\"https:\\/\\/a.example\\/p?st=S3CRET\\/S3CRET\\u0026e=1\\"}',
            '{\\"url\\":\\"https:\\/\\/a.example\\/p?…\\"}',
        ),
        ("see https://a.example/p?S3CRET, or http://b.example?", "see https://a.example/p?… or http://b.example?"),
        ("is it well? https://a.example/p is", "is it well? https://a.example/p is"),
    ],
)
def test_addresses_in_what_somebody_else_wrote_are_shown_without_their_queries(text: str, shown: str) -> None:
    assert without_queries(text) == shown
    assert without_queries(shown) == shown


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["https://", "https://a?", "https:\\/\\/", "?"])
def test_hostile_addresses_of_any_length_are_looked_at_once(text: str) -> None:
    without_queries(text * (200_000 // len(text)))
    shown_address(text * (200_000 // len(text)))


def test_a_secret_with_blanks_around_it_is_known_without_them() -> None:
    """As from a file that ends with a newline."""
    assert redactor("hunter22\n").redact("a hunter22 b") == f"a {HIDDEN} b"


def test_what_is_too_short_to_be_a_secret_is_not_hidden() -> None:
    assert redactor("", "a", "true", "    x    ").redact("it is true: a") == "it is true: a"


def test_a_secret_that_is_no_utf8_is_hidden() -> None:
    secret = b"pass\xffword\xfe".decode("utf-8", "surrogateescape")
    assert (
        redactor(secret).redact(f"<{secret}> {quote(secret.encode('utf-8', 'surrogateescape'))}")
        == f"<{HIDDEN}> {HIDDEN}"
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "text",
    [
        "a.",
        "a://",
        "://a:b",
        "a:b",
        "bearer ",
        "bearer a.",
        "basic\t",
        "?",
        "?key=",
        "&--token",
        '"password":"',
        '"password"',
        "\\",
        '"password"   ',
        "x-amz-",
        "hunter22",
        "[redacted]",
        "@",
        "%2",
        "eyJ",
        "eyJaaaaaa.",
        "%41eyJ",
        ".eyJaaaaaa",
        "hmac",
        "?jwt=",
        "%2526jwt%253d",
        "&__token__",
        "a-b_",
        '\\"token\\":\\"',
        '\\\\"',
        "'token': '",
        '"a_token_',
        "set-cookie: ",
        'set-cookie: a="',
        "cookie:\n",
    ],
)
def test_hostile_text_of_any_length_is_cleaned_in_linear_time(text: str) -> None:
    """With a square in it, the shortest of these would take hours."""
    made = redactor("hunter22hunter23", "%2F%2F%2F%2F%2G")
    for whole in (
        text * (200_000 // len(text)),
        f'"password":"{text * (200_000 // len(text))}',
        f'\\"token\\":\\"{text * (200_000 // len(text))}',
        f"set-cookie: {text * (200_000 // len(text))}",
        "bearer" + text[-1] * 200_000,
    ):
        made.redact(whole)


def test_secrets_in_variables_are_known_whether_or_not_anybody_asks() -> None:
    register_variables({
        "SOME_TOKEN": "canary-of-a-token", "DATABASE": "mongodb+srv://me:p%40ssw0rd-canary@host/db", "PATH": "/usr/bin/tools",
        "OTHER_TOKEN": "on",
    })  # fmt: skip
    said = redact("canary-of-a-token p%40ssw0rd-canary p@ssw0rd-canary /usr/bin/tools on")
    assert said == f"{HIDDEN} {HIDDEN} {HIDDEN} /usr/bin/tools on"


def test_a_text_that_was_cleaned_before_a_secret_was_known_is_cleaned_anew() -> None:
    made = Redactor()
    assert made.redact("it says hunter22") == "it says hunter22"
    made.register("hunter22")
    assert made.redact("it says hunter22") == f"it says {HIDDEN}"
