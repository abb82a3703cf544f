"""How long a sandbox takes from the start of its process to its address line."""

from __future__ import annotations

from statistics import median

from benchmarks.figure import Figure
from benchmarks.programs import sandbox
from verification.deadline import Stopwatch

_LIMIT = 3.0


def measure(*, quick: bool) -> list[Figure]:
    """The median and the worst of five starts (two if `quick`), in seconds; the worst is held against the limit."""
    times = []
    for _ in range(2 if quick else 5):
        start = Stopwatch.start()
        with sandbox():
            times.append(start.seconds)
    note = f"{len(times)} starts, process start to address line"
    return [
        Figure("sandbox ready, worst", max(times), _LIMIT, "s", note),
        Figure("sandbox ready, median", median(times), _LIMIT, "s", note),
    ]
