"""Nothing that was registered as a secret leaves the process, in whatever disguise."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.verification.redactors import redactor
from verification.redaction import HIDDEN, Redactor, redact, register_variables

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
