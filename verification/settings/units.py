"""Durations and rates as people write them, for settings: `"15m"`, `"500ms"`, `"1%"`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_LONGEST = 3660 * 86400.0  # ten years: more is a slip, and more than a clock can wait for


def seconds(text: object) -> float:
    """A duration such as `"15m"` or `"1h 30m"` in seconds.

    Raises ValueError for anything else, and above ten years; a bare number has no unit and is refused.
    """
    if not isinstance(text, str) or not re.fullmatch(rf"\s*(?:{_DURATION.pattern}\s*)+", text):
        raise ValueError('expected a duration such as "500ms", "30s", "15m", "24h" (a string, with its unit)')
    total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    if total > _LONGEST:
        raise ValueError("expected a duration of ten years at most")
    return total


def share(text: object) -> float:
    """A rate such as `"1%"` as a share of one (0.01). Raises ValueError for anything else, or above 100 %."""
    found = re.fullmatch(_RATE, text.strip()) if isinstance(text, str) else None
    if found is None or float(found[1]) > 100:
        raise ValueError('expected a rate such as "1%" (a string, 0 to 100, with the percent sign)')
    return float(found[1]) / 100


def duration_text(value: float) -> str:
    """Seconds as a person writes them: `900` is `15m`, `0.5` is `500ms`."""
    for unit in ("d", "h", "m", "s"):
        if value >= _SECONDS[unit] and value % _SECONDS[unit] == 0:
            return f"{_plain(value / _SECONDS[unit])}{unit}"
    return f"{_plain(value)}s" if value >= 1 else f"{_plain(value * 1000)}ms"


def _plain(number: float) -> str:
    # `g` alone would round to six digits, and write large numbers as powers of ten.
    return f"{number:.6f}".rstrip("0").rstrip(".")


# The formats are for the reference of all settings.
Seconds = Annotated[float, BeforeValidator(seconds), Field(json_schema_extra={"format": "duration"})]
Share = Annotated[float, BeforeValidator(share), Field(json_schema_extra={"format": "rate"})]
