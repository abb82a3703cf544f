"""What a watch shows of itself: a series for a chart in the report, and a snapshot for whoever looks on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one criterion over time, oldest first; None where nothing was observed (never zero).

    `limit` and `roll_back_at` are in `unit`, as the checklist has them; `decided_at` is when the verdict was certain,
    if it was before the end.
    """

    criterion: str
    title: str
    unit: str
    points: tuple[tuple[datetime, float | None], ...]
    limit: float | None = None
    roll_back_at: float | None = None
    decided_at: datetime | None = None


class RowState(StrEnum):
    """How a criterion stands while it is watched."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"  # nothing observed yet, or not lately


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One criterion under watch: its value against its limit, in words, and its latest values, newest last."""

    criterion: str
    value: str
    limit: str
    state: RowState
    recent: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchSnapshot:
    """A watch as it stands: seconds left of `of_s`, a row for each criterion, and what else is worth a line."""

    left_s: float
    of_s: float
    rows: tuple[WatchRow, ...]
    notes: tuple[str, ...] = ()
