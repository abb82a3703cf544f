"""A chart of a series, as SVG that stands inside the page.

Written by hand rather than drawn by matplotlib: a tenth of its size, its text is text to a reader and to a screen
reader, it takes its colours from the page in the dark and in print, and it costs a run no import of a second.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from html import escape
from math import isfinite

from reports.charts.points import ChartPoint, downsample, gaps, observed_values, svg_paths
from reports.charts.scale import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, ChartScale, limits, round_numbers
from reports.text import one_line
from verification.series import Series
from verification.verdict import show

_MINUTES_FROM = 120.0  # seconds: a shorter series counts in seconds
_LABEL_HEIGHT = 15


def chart(series: Series) -> str:
    """The series as one line of SVG, below 15 KB, with a title and a description for who cannot see it.

    Where nothing was observed, the line has a gap and the ground is hatched. A series of many points is thinned so that
    no peak, no dip and no gap is lost. Raises ValueError for a value that is no finite number, and for points that are
    not in order of time.
    """
    _check(series)
    scale = ChartScale.fitting(series)
    name = f"chart-{zlib.crc32(repr(series).encode('utf-8', 'replace')):08x}"
    points = [
        ChartPoint(scale.x(when), None if value is None else scale.y(value))
        for when, value in downsample(series.points)
    ]
    parts = (
        f'<title id="{name}-title">{_text(series.title)}</title>',
        f'<desc id="{name}-desc">{_text(describe(series))}</desc>',
        *_axes(series, scale),
        *_not_observed(points, name),
        *_values(points),
        *_limits(series, scale),
        *_decision(series, scale),
    )
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" font-family="system-ui,sans-serif" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def describe(series: Series) -> str:
    """The chart in words, as plain text that is not yet redacted."""
    values = observed_values(series.points)
    unit = series.unit
    said = []
    if values:
        lasted = _lasted((series.points[-1][0] - series.points[0][0]).total_seconds())
        said.append(f"{len(values)} values over {lasted}: lowest {show(min(values), unit)}")
        said[-1] += f", highest {show(max(values), unit)}, last {show(values[-1], unit)}."
    missing = len(series.points) - len(values)
    if missing or not values:
        said.append(f"Not observed: {missing} of {len(series.points)}." if missing else "Nothing was observed.")
    if series.limit is not None:
        said.append(f"Limit: {show(series.limit, unit)}.")
    if series.roll_back_at is not None:
        said.append(f"Rolls back at {show(series.roll_back_at, unit)}.")
    if series.decided_at is not None and series.points:
        said.append(f"Decided after {_lasted((series.decided_at - series.points[0][0]).total_seconds())}.")
    return " ".join(said)


def _axes(series: Series, scale: ChartScale) -> Iterator[str]:
    for value in scale.ticks():
        y = scale.y(value)
        yield f'<path class="chart-grid" d="M{LEFT} {y:.1f}H{RIGHT}" stroke="currentColor" stroke-opacity=".18"/>'
        yield _label(LEFT - 6, y + 4, f"{value:.4g}", "end")
    yield _label(LEFT, 12, series.unit, "end" if len(series.unit) < 8 else "start")
    yield f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="currentColor" stroke-opacity=".6"/>'
    if series.points:
        part, word = (60.0, "minutes") if scale.seconds >= _MINUTES_FROM else (1.0, "seconds")
        for tick in round_numbers(0.0, scale.seconds / part):
            yield _label(scale.x_of_second(tick * part), BOTTOM + 15, f"{tick:.4g}", "middle")
        yield _label(RIGHT, BOTTOM + 32, f"{word} since {series.points[0][0]:%H:%M:%S %Z}", "end")


def _values(points: list[ChartPoint]) -> Iterator[str]:
    line, dots = svg_paths(points)
    for kind, path, width in (("line", line, 1.6), ("dots", dots, 5)):
        if path:
            yield (
                f'<path class="chart-{kind}" d="{path}" fill="none" stroke="currentColor" stroke-width="{width}" '
                'stroke-linecap="round" stroke-linejoin="round"/>'
            )


def _not_observed(points: list[ChartPoint], name: str) -> Iterator[str]:
    bands = [(left, right, TOP, BOTTOM) for left, right in gaps(points, LEFT, RIGHT)]
    if not bands:
        return
    swatch = (LEFT, LEFT + 22, BOTTOM + 23, BOTTOM + 33)
    path = "".join(
        f"M{left:.1f} {top}H{right:.1f}V{bottom}H{left:.1f}z" for left, right, top, bottom in (*bands, swatch)
    )
    yield (
        f'<pattern id="{name}-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path d="M0 0V5" stroke="currentColor" stroke-opacity=".6"/></pattern>'
        f'<path class="chart-gap" d="{path}" fill="url(#{name}-hatch)" stroke="currentColor" stroke-opacity=".3"/>'
    )
    yield _label(LEFT + 27, BOTTOM + 32, "not observed", "start")


def _limits(series: Series, scale: ChartScale) -> Iterator[str]:
    """Both lines, each with its name above it; where they are close to each other, the lower one's is below."""
    lines = [
        (scale.y(value), f"{words} {show(value, series.unit)}", look)
        for value, words, look in (
            (series.limit, "limit", 'class="chart-limit" stroke-dasharray="6 4" style="stroke:var(--unclear,#7a4d00)"'),
            (
                series.roll_back_at,
                "rolls back at",
                'class="chart-roll-back" stroke-dasharray="10 3 2 3" style="stroke:var(--fail,#a3140f)"',
            ),
        )
        if value is not None
    ]
    upper = float("-inf")
    for y, words, look in sorted(lines):
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke-width="1.5" {look}/>'
        yield _label(LEFT + 5, y + (13 if y - upper < _LABEL_HEIGHT else -4), words, "start", halo=True)
        upper = y


def _decision(series: Series, scale: ChartScale) -> Iterator[str]:
    if series.decided_at is None or not series.points:
        return
    x = scale.x(series.decided_at)
    words = f"decided after {_lasted((series.decided_at - series.points[0][0]).total_seconds())}"
    yield f'<path class="chart-decision" d="M{x:.1f} {TOP - 12}V{BOTTOM}" stroke="currentColor" stroke-width="2"/>'
    yield _label(x - 4, TOP - 8, words, "end") if x > WIDTH / 2 else _label(x + 4, TOP - 8, words, "start")


def _label(x: float, y: float, words: str, anchor: str, *, halo: bool = False) -> str:
    ground = ' style="paint-order:stroke;stroke:var(--page,Canvas);stroke-width:3px"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{ground}>{_text(words)}</text>'


def _lasted(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes" if seconds >= _MINUTES_FROM else f"{max(seconds, 0.0):.3g} seconds"


def _check(series: Series) -> None:
    if not all(map(isfinite, (*observed_values(series.points), *limits(series)))):
        raise ValueError(f"a value of {series.criterion} is no finite number")
    times = [when for when, _ in series.points]
    if times != sorted(times):
        raise ValueError(f"the values of {series.criterion} are not in order of time")


def _text(words: str) -> str:
    return escape(one_line(words))
