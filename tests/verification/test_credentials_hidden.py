"""What looks like a credential is hidden although nobody registered it, and ordinary words are not."""

from __future__ import annotations

import json
from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verification.redactors import MEDIA, redactor
from verification.redaction import HIDDEN


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
