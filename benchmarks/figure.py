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


def figure_table(figures: Sequence[Figure]) -> str:
    """The figures as one table of text, a line each."""
    return text_table([("figure", "measured", "limit", "", "how"), *map(_row, figures)])


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """The rows, all of one length, in columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    limit, mark = "", ""
    if figure.limit is not None:
        limit, mark = _text(figure.limit, figure.unit), "OVER" if figure.over else "ok"
    return figure.name, _text(figure.value, figure.unit), limit, mark, figure.note


def _text(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit in {"s", "x"} else f"{value:g} {unit}".rstrip()
