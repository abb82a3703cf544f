"""The one place that keeps secrets in: everything that leaves the process is passed through `redact`.

Loaded secrets are registered here and replaced wherever they turn up, in their usual disguises too; credentials that
nobody registered (`user:password@`, bearer tokens, JSON web tokens, `key=` in a query, cookies) are caught by their
shape. A query may hold others, under names that nobody knows: an address is shown without it (`shown_address`).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
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
_WORD = "(?:token|password|passwd|secret|signature|hmac|jwt)"
# Parameters that carry a credential, as APIs and those who deliver media call them.
_PARAMETER = (
    r"(?:key|sig|policy|api_?key|key-pair-id|auth(?:[_-]?key)?|hdn(?:ts|ea|tl)|__gda__|x-[a-z]{1,10}-credential|"
    rf"[a-z0-9_-]{{0,20}}{_WORD}_{{0,2}})"
)
_UNMISTAKABLE = "(?:hdn(?:ts|ea|tl)|hmac|jwt|x-(?:goog|amz)-signature)"  # whatever stands before it
# An address that stands in JSON, in HTML or in another address has its signs in disguise.
_BEFORE, _EQUALS = r"(?:[?&;#]|\\u0026|%(?:25)?(?:26|3f))", r"(?:=|\\u003d|%(?:25)?3d)"
_JSON_KEY = rf"(?:[a-z0-9_-]{{0,30}}(?:{_WORD}|cookie)|authorization|api_?key|private_key)"
_VALUE = r"(?:[^&\s\"'<>\\]|\\/)"
_QUOTE, _QUOTED = r"\\{1,8}\"", r"(?:[^\"\\]|\\++(?:[^\"\\]|\"(?!\s{0,8}[,}\]])))"
# Each takes time in proportion to the text, however hostile: no two parts of a shape can match the same characters. And
# each ends where JSON or HTML goes on in which the text stands. Before it, what a text must hold in small letters to be
# looked through at all.
_SHAPES = tuple(
    (signs, re.compile(shape, re.IGNORECASE | re.DOTALL), rf"\1{HIDDEN}{after}")
    for signs, shape, after in (
        (("://",), r"(\b[a-z][a-z0-9+.-]{0,30}://)[^/\s?#\"'<>]*@", "@"),
        (
            ("bearer", "basic"),
            # A digit or a capital further in tells a credential from a word, as in "basic authentication".
            rf"(\b(?:bearer|basic)\s+)(?=(?-i:[A-Za-z._~+/-]+[A-Z0-9=]|[0-9])){_LETTER}{{8,}}",
            "",
        ),
        (("=", "3d"), rf"({_BEFORE}{_PARAMETER}{_EQUALS}){_VALUE}+", ""),
        (("hdn", "hmac", "jwt", "-signature"), rf"((?<![a-z0-9_]){_UNMISTAKABLE}{_EQUALS}){_VALUE}+", ""),
        # A JSON web token, even half of one: it begins a word, or follows the disguise of a sign.
        (
            ("eyj",),
            r"(?-i:((?<![A-Za-z0-9_-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4})",
            "",
        ),
        (('"',), rf"(\"{_JSON_KEY}\"\s*:\s*\")(?!\")[^\"\\]*(?:\\.[^\"\\]*)*", ""),
        (("'",), rf"('{_JSON_KEY}'\s*[:,]\s*b?')(?!')[^'\\]*(?:\\.[^'\\]*)*", ""),  # as Python shows what it has
        # JSON in a text of JSON: its quotes have backslashes before them, and the value's last one a sign after it.
        (('\\"',), rf"({_QUOTE}{_JSON_KEY}{_QUOTE}\s{{0,8}}:\s{{0,8}}{_QUOTE})(?!{_QUOTE}){_QUOTED}+", ""),
        (
            ("cookie:",),
            r"((?:\bset-|(?m:^))cookie:[ \t]*)(?=[^\s\"<\\])(?:[^\r\n<\"\\]|\\.|(?<==)\"[^\"\r\n<,:]*\")+",
            "",
        ),
    )
)

# The whole of an address, whether or not it has a query: what was looked at once is not looked at again.
_ADDRESS = re.compile(rf"(https?:(?:\\?/){{2}}[^\s\"'<>?]*)(\?(?:{_VALUE}|&|\\u0026)+)?", re.IGNORECASE)


class Redactor:
    """Replaces registered secrets and what looks like one. Cleaning twice is the same as cleaning once."""

    def __init__(self) -> None:
        self._forms: frozenset[str] = frozenset()
        self._lock = threading.Lock()  # probes register what they are told, side by side
        self._finder: tuple[frozenset[str], re.Pattern[str] | None] = self._forms, None  # of these forms
        self._known: dict[str, str] = {}  # short texts that were cleaned before: a report repeats most of its own

    def register(self, secret: str) -> None:
        """Hide `secret` from now on, with and without the blanks around it, and in its disguises (`_disguises`)."""
        with self._lock:
            for known in {secret, secret.strip()}:
                if len(known) >= _MIN_LENGTH and known not in HIDDEN:
                    self._forms |= set(_disguises(known))
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
        small = text.lower()
        for signs, shape, replacement in _SHAPES:
            if any(sign in small for sign in signs):
                text = shape.sub(replacement, text)
        return text

    def _finder_of(self, forms: frozenset[str]) -> re.Pattern[str]:
        """What finds each of `forms`; made where a text holds one, which is rare, and each login registers a token."""
        found_by, pattern = self._finder
        if found_by is not forms or pattern is None:
            # The longest first, so that of two that begin at the same place the whole is hidden.
            longest_first = sorted(forms, key=len, reverse=True)
            # A look-ahead, so that secrets which overlap are all found.
            pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")
            self._finder = forms, pattern
        return pattern

    def _without_known(self, text: str) -> Iterator[str]:
        forms, shown_from, hidden_to = self._forms, 0, -1
        holds_one = any(form in text for form in forms)
        for found in self._finder_of(forms).finditer(text) if holds_one else ():
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


def without_queries(text: str) -> str:
    """`text`, which somebody else wrote, with all addresses in it as `shown_address` shows them."""
    return _ADDRESS.sub(lambda found: f"{found[1]}?…" if found[2] else found[1], text)


def shown_address(address: str, shown: Collection[str] = ()) -> str:
    """`address` for people: of its query only the parameters `shown`, and an ellipsis for all others."""
    place, _, query = address.partition("#")[0].partition("?")
    every = query.split("&") if query else []
    kept = [part for part in every if part.partition("=")[0] in shown]
    kept += ["…"] if len(kept) < len(every) else []
    return f"{place}?{'&'.join(kept)}" if kept else place
