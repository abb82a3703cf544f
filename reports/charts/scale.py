"""The scale of a chart: from times and values to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, isfinite, log10

from reports.charts.points import observed_values
from verification.series import Series

WIDTH, HEIGHT = 440, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 428, 30, 150  # where the values are

_ROOM = 0.08  # of the height, above the highest value
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class ChartScale:
    """Where times and values are in a chart.

    `low` and `high` are at the bottom and at the top, in units of `power`: a sum of two values may be too large.
    """

    start: datetime | None  # None for a series without points
    seconds: float  # from `start` to the right edge
    low: float
    high: float
    power: float

    @classmethod
    def fitting(cls, series: Series) -> ChartScale:
        """The scale on which zero, all values, both limits and the moment of the decision have their place."""
        values = [0.0, *observed_values(series.points), *limits(series)]
        largest = max(map(abs, values))
        # Powers of ten that are smaller than this have lost their digits.
        power = 10.0 ** floor(log10(largest)) if largest > 1e-300 else 1.0
        low, high = min(values) / power, max(values) / power
        room = (high - low) * _ROOM or 1.0
        start, seconds = _times(series)
        return cls(start, seconds, low - room if low < 0 else low, high + room, power)

    def x(self, when: datetime) -> float:
        """Where a time is; one before the start is at the start."""
        assert self.start is not None, "a series without points has no times"
        return self.x_of_second(max((when - self.start).total_seconds(), 0.0))

    def x_of_second(self, second: float) -> float:
        """Where the second after the start is."""
        return LEFT + second / self.seconds * (RIGHT - LEFT)

    def y(self, value: float) -> float:
        """Where a value is."""
        return BOTTOM - (value / self.power - self.low) / (self.high - self.low) * (BOTTOM - TOP)

    def ticks(self) -> list[float]:
        """A few round values."""
        return [value for rounded in round_numbers(self.low, self.high) if isfinite(value := rounded * self.power)]


def round_numbers(low: float, high: float) -> list[float]:
    """Two to six round numbers from `low` to `high`."""
    rough = (high - low) / 4
    power = 10.0 ** floor(log10(rough))
    # Divided by a little more than one, because 0.1 + 0.2 is not 0.3.
    step = next(step * power for step in _STEPS if step * power >= rough / 1.001)
    return [number * step for number in range(ceil(low / step), floor(high / step) + 1)]


def limits(series: Series) -> list[float]:
    """The values that have a line across the chart."""
    return [limit for limit in (series.limit, series.roll_back_at) if limit is not None]


def _times(series: Series) -> tuple[datetime | None, float]:
    if not series.points:
        return None, 1.0
    start, end = series.points[0][0], series.points[-1][0]
    end = max(end, series.decided_at or end)
    return start, (end - start).total_seconds() or 1.0
