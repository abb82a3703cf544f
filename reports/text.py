"""What every text of a run goes through before anybody sees it: no secrets, and no characters that deceive."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite

from verification.redaction import redact

# Terminal escapes, and the direction marks that make text read differently from what it says. Tab and newline stay.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def plain(text: object) -> str:
    """`text` without secrets, and with every character that a reader cannot see, or cannot trust, made visible."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", redact(str(text)).replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """`plain(text)` on one line."""
    return " ".join(plain(text).split())


def plain_value(value: object) -> object:
    """A scalar for JSON: a text `plain`, and a number that JSON does not know (NaN, infinity) as the text of it."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return plain(value) if isinstance(value, str) else value


def moment(when: datetime | None) -> str:
    """A time as all reports write it: `2026-11-23 10:15:00 UTC`."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when else "not finished"


def clock(when: datetime) -> str:
    """The time of day, in UTC: `10:15:00`."""
    return f"{when.astimezone(UTC):%H:%M:%S}"
