"""A figure that was measured, the limit that it is held against, and the table that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BenchmarkError(Exception):
    """What was to be measured did not happen, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `limit` is the most that it may be, None where it is shown for comparison only."""

    name: str
    value: float
    limit: float | None
    unit: str
    note: str = ""

    @property
    def over(self) -> bool:
        """Whether the value is over its limit."""
        return self.limit is not None and self.value > self.limit


def table(figures: Sequence[Figure]) -> str:
    """The figures as one table of text, a line each."""
    rows = [("figure", "measured", "limit", "", "how")]
    rows += [(one.name, _text(one.value, one.unit), _limit(one), _mark(one), one.note) for one in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _text(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit in {"s", "x"} else f"{value:g} {unit}".rstrip()


def _limit(figure: Figure) -> str:
    return "" if figure.limit is None else _text(figure.limit, figure.unit)


def _mark(figure: Figure) -> str:
    if figure.limit is None:
        return ""
    return "OVER" if figure.over else "ok"
