"""How long a sandbox takes from the start of its process to its address line."""

from __future__ import annotations

from statistics import median

from benchmarks.figure import Figure
from benchmarks.programs import sandbox

_LIMIT = 3.0


def measure(*, quick: bool) -> list[Figure]:
    """The median and the worst of five starts (two if `quick`), in seconds; the worst is held against the limit."""
    times = [_once() for _ in range(2 if quick else 5)]
    note = f"{len(times)} starts, process start to address line"
    return [
        Figure("sandbox ready, worst", max(times), _LIMIT, "s", note),
        Figure("sandbox ready, median", median(times), _LIMIT, "s", note),
    ]


def _once() -> float:
    with sandbox() as started:
        return started.seconds
