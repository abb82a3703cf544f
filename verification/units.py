"""Durations and rates as people write them, for settings: `"15m"`, `"500ms"`, `"1%"`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def seconds(text: object) -> float:
    """A duration such as `"15m"` or `"1h 30m"` in seconds.

    Raises ValueError for anything else; a bare number has no unit and is refused.
    """
    if isinstance(text, str) and re.fullmatch(rf"\s*(?:{_DURATION.pattern}\s*)+", text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    raise ValueError('expected a duration such as "500ms", "30s", "15m", "24h" (a string, with its unit)')


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
            return f"{value / _SECONDS[unit]:g}{unit}"
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"


Seconds = Annotated[float, BeforeValidator(seconds)]
Share = Annotated[float, BeforeValidator(share)]
