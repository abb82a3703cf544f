"""The one place that keeps secrets in: everything that leaves the process is passed through `redact`.

Loaded secrets are registered here and replaced wherever they turn up, in their usual disguises too; credentials that
nobody registered (`user:password@`, bearer tokens, `key=` in a query) are caught by their shape.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "[redacted]"

# Shorter ones would blank out ordinary words, and a secret of four characters is none.
_MIN_LENGTH = 5
_MIN_UNASKED = 8  # of what nobody said is one

_MOST_KNOWN, _MOST_TEXTS = 200, 20_000  # characters of a text, and texts

# What servers and clients leave as it is in an address, besides letters and digits.
_KEPT_IN_ADDRESSES = ("!$&'()*+,;=", "!$&'()*+,;=:@/", "!$&'()*+,;=:@/?")
# JSON as Go writes it, and whoever puts JSON into a page.
_JSON_IN_HTML = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}
# Variables that hold secrets by their names: kept in from the start, whether or not anybody asks for them.
_SECRET_NAME = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|API_KEY|ROUTING_KEY|PRIVATE_KEY|DSN)$", re.IGNORECASE)
_WITH_CREDENTIALS = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#@]*:([^/?#]+)@", re.IGNORECASE)

_MOST_LOOKED_THROUGH = 16_000  # characters of a text that only its beginning is shown of

_LETTER = r"[A-Za-z0-9._~+/=-]"
# Each takes time in proportion to the text, however hostile: no two parts of a shape can match the same characters.
_SHAPES = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^/\s?#\"'<>]*@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (
        # A digit or a capital further in tells a credential from a word, as in "basic authentication".
        re.compile(rf"(\b(?:bearer|basic)\s+)(?=(?-i:[A-Za-z._~+/-]+[A-Z0-9=]|[0-9])){_LETTER}{{8,}}", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"([?&](?:key|sig|api_?key|policy|x-[a-z]{1,10}-credential|[a-z_-]{0,20}(?:token|password|secret|signature))=)"
            r"[^&\s\"'<>]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(\"(?:password|access_token|refresh_token|id_token|client_secret|authorization|set-cookie)\"\s*:\s*\")"
            r"(?!\")[^\"\\]*(?:\\.[^\"\\]*)*",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1{HIDDEN}",
    ),
)


class Redactor:
    """Replaces registered secrets and what looks like one. Cleaning twice is the same as cleaning once."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._lock = threading.Lock()  # probes register what they are told, side by side
        self._pattern: re.Pattern[str] | None = None
        self._known: dict[str, str] = {}  # short texts that were cleaned before: a report repeats most of its own

    def register(self, secret: str) -> None:
        """Hide `secret` from now on, with and without the blanks around it, and in its disguises (`_disguises`)."""
        with self._lock:
            for known in {secret, secret.strip()}:
                if len(known) >= _MIN_LENGTH and known not in HIDDEN:
                    self._forms |= set(_disguises(known))
            # The longest first, so that of two that begin at the same place the whole is hidden.
            longest_first = sorted(self._forms, key=len, reverse=True)
            if longest_first:
                # A look-ahead, so that secrets which overlap are all found.
                self._pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")
            self._known = {}

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        if len(text) > _MOST_KNOWN:
            return self._cleaned(text)
        known = self._known
        if (cleaned := known.get(text)) is None:
            if len(known) >= _MOST_TEXTS:
                known.clear()
            cleaned = known[text] = self._cleaned(text)
        return cleaned

    def _cleaned(self, text: str) -> str:
        text = "".join(self._without_known(text))
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def _without_known(self, text: str) -> Iterator[str]:
        shown_from, hidden_to = 0, -1
        for found in self._pattern.finditer(text) if self._pattern is not None else ():
            start, end = found.span(1)
            if start > hidden_to:
                yield text[shown_from:start]
                yield HIDDEN
            shown_from = hidden_to = max(end, hidden_to)
        yield text[shown_from:]


def _disguises(secret: str) -> list[str]:
    # Variables that are not UTF-8 come with surrogates in them.
    raw = secret.encode("utf-8", "surrogateescape")
    percent = [
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        *(quote(raw, safe=kept) for kept in _KEPT_IN_ADDRESSES),
    ]
    forms = [
        secret,
        *percent,
        *(re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in percent),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr("\"'" + secret)[4:-1],  # as it looks in a longer text with both kinds of quotes
        repr(raw)[2:-1],
        escape(secret),
        escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        escape(secret).replace("&#x27;", "&apos;"),
        quote(quote(raw, safe=""), safe=""),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1].translate(_JSON_IN_HTML),
        # At each of the three alignments, the characters that depend on the secret alone.
        *(_inner_base64(raw, offset) for offset in range(3)),
    ]
    forms += [form.replace("+", "-").replace("/", "_") for form in forms[-3:]]
    return [form for form in forms if len(form) >= _MIN_LENGTH]


def register_variables(variables: Mapping[str, str]) -> None:
    """Hide what stands in environment variables that hold secrets by their names, and passwords in addresses."""
    for name, value in variables.items():
        if _SECRET_NAME.search(name) and len(value) >= _MIN_UNASKED:
            register(value)
        if credentials := _WITH_CREDENTIALS.match(value):
            for password in {credentials[1], unquote(credentials[1])}:
                if len(password) >= _MIN_UNASKED:
                    register(password)


def _inner_base64(raw: bytes, offset: int) -> str:
    encoded = base64.b64encode(b"\0" * offset + raw).decode()
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return encoded[first:last]


_redactor = Redactor()
register = _redactor.register
redact = _redactor.redact


def redact_and_truncate(text: str | bytes, most: int = 120) -> str:
    """`text` on one line, without secrets, and no longer than `most` characters and an ellipsis."""
    if isinstance(text, bytes):
        text = text[:_MOST_LOOKED_THROUGH].decode("utf-8", "replace")
    # Cleaned before it is cut: half a secret would not be known as one.
    text = redact(" ".join(text[:_MOST_LOOKED_THROUGH].split()))
    return text if len(text) <= most else text[:most] + "…"
