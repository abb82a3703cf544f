"""The points of a chart: thinned without losing what matters, joined where they belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

Points = Sequence[tuple[datetime, float | None]]

MOST_POINTS = 360  # points that are drawn; more would lie on the same spot
_KEPT = 3  # of each stretch: its highest, its lowest, its first gap


class ChartPoint(NamedTuple):
    """A point on the page; `y` is None where nothing was observed."""

    x: float
    y: float | None


def observed_values(points: Points) -> list[float]:
    """The values that there are."""
    return [value for _, value in points if value is not None]


def downsample(points: Points) -> Points:
    """At most `MOST_POINTS` of the points, in their order: of each stretch the highest, the lowest and the first gap.

    The highest alone would hide what is bad by being low, and a gap that is shorter than a stretch.
    """
    if len(points) <= MOST_POINTS:
        return points
    stretch = -(-len(points) * _KEPT // MOST_POINTS)
    kept: list[tuple[datetime, float | None]] = []
    for start in range(0, len(points), stretch):
        part = range(start, min(start + stretch, len(points)))
        seen = [(value, index) for index in part if (value := points[index][1]) is not None]
        missing = [index for index in part if points[index][1] is None]
        chosen = {extreme[1] for extreme in (min(seen), max(seen))} if seen else set()
        kept += [points[index] for index in sorted(chosen | set(missing[:1]))]
    return kept


def svg_paths(points: Sequence[ChartPoint]) -> tuple[str, str]:
    """The path through the points, which begins anew after each gap; and one of dots, for points between two gaps."""
    line = dots = ""
    for observed_here, stretch in groupby(points, lambda point: point.y is not None):
        places = [f"{x:.1f} {y:.1f}" for x, y in stretch] if observed_here else []
        if len(places) == 1:
            dots += f"M{places[0]}h.01"  # with round ends
        elif places:
            line += f"M{'L'.join(places)}"
    return line, dots


def gaps(points: Sequence[ChartPoint], left: float, right: float) -> Iterator[tuple[float, float]]:
    """From where to where nothing was observed: between the points beside a gap, or to the chart's edge.

    Without any point, all of it.
    """
    began: float | None = None if points and points[0].y is not None else left
    last = left
    for x, y in points:
        if y is None and began is None:
            began = last
        if y is not None:
            if began is not None and x > began:
                yield began, x
            began, last = None, x
    if began is not None and right > began:
        yield began, right
