"""The one place that keeps secrets in: everything that leaves the process is passed through `redact`.

Loaded secrets are registered here and replaced wherever they turn up, in their usual disguises too; credentials that
nobody registered (`user:password@`, bearer tokens, `key=` in a query) are caught by their shape.
"""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

HIDDEN = "[redacted]"

# Shorter ones would blank out ordinary words, and a secret of four characters is none.
_MIN_LENGTH = 5

_SHAPES = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@:]*:[^/\s@]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"([?&](?:key|api_?key|token|access_token|password|secret|sig|signature|x-goog-signature)=)[^&\s\"'<>]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(\"(?:password|access_token|refresh_token|id_token|client_secret|authorization|set-cookie)\"\s*:\s*\")"
            r"(?:[^\"\\]|\\.)+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


class Redactor:
    """Replaces registered secrets and what looks like one. Cleaning twice is the same as cleaning once."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, secret: str) -> None:
        """Hide `secret` from now on, also URL-encoded, JSON-escaped and in base64."""
        if len(secret) < _MIN_LENGTH:
            return
        self._forms |= set(_disguises(secret))
        # The longest first, so that a secret inside another one leaves no remainder.
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


def _disguises(secret: str) -> list[str]:
    raw = secret.encode()
    forms = [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        # At each of the three alignments, the characters that depend on the secret alone.
        *(_inner_base64(raw, offset) for offset in range(3)),
    ]
    return [form for form in forms if len(form) >= _MIN_LENGTH]


def _inner_base64(raw: bytes, offset: int) -> str:
    encoded = base64.b64encode(b"\0" * offset + raw).decode()
    first = (offset * 8 + 5) // 6
    last = (offset + len(raw)) * 8 // 6
    return encoded[first:last]


_redactor = Redactor()
register = _redactor.register
redact = _redactor.redact
