"""Sentry's Explore endpoints: events counted and grouped as a table, and counted over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import SentryRefusal, iso, page
from sandbox.sentry.model import PROJECT, PROJECT_ID
from sandbox.sentry.search import Value, parse, reader, search_scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import ErrorEvent, SentrySpan, SentryStore
    from sandbox.sentry.search import SearchScope

Cell = str | int | float | None
DATASETS = ("errors", "spans")
_MAX_FIELDS = 20
_NO_FAILURE = {"ok", "cancelled", "unknown"}
_AGGREGATES = {"count()": "integer", "failure_rate()": "percentage"}
_MAX_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event, or `count` that are alike, with the values of its fields."""

    at: datetime
    fields: dict[str, Value]
    tags: tuple[tuple[str, str], ...]
    failed: bool
    count: int = 1

    def cell(self, field: str) -> Cell:
        """What stands in the table for a field."""
        value = reader(self.fields, self.tags)(field.removeprefix("tags[").removesuffix("]"))
        return iso(value) if isinstance(value, datetime) else value


class SentryEventEndpoints:
    """Answers `/events/` and `/events-timeseries/` over one store. With the fault sentry-empty they find nothing."""

    def __init__(self, store: SentryStore, faults: AbstractSet[str]) -> None:
        self._store = store
        self._faults = faults

    async def table(self, request: Request) -> Response:
        """`/events/`. Raises SentryRefusal."""
        fields = request.query_params.getlist("field")
        if not fields or len(fields) > _MAX_FIELDS:
            raise SentryRefusal(400, f"You must select 1 to {_MAX_FIELDS} fields.")
        _check_aggregates(fields)
        dataset = _dataset(request)
        filters = search_scope(request, self._store)
        rows = self._rows(request, dataset, filters)
        lines = _sorted(_table(rows, fields), request.query_params.get("sort"), fields)
        data, headers = page(request, lines, dict)
        types = {field: _AGGREGATES.get(field, "date" if field == "timestamp" else "string") for field in fields}
        meta = {"fields": types, "units": dict.fromkeys(fields), "isMetricsData": False, "dataset": dataset, "tips": {}}
        return JSONResponse({"data": data, "meta": meta}, headers=headers)

    async def timeseries(self, request: Request) -> Response:
        """`/events-timeseries/`. Raises SentryRefusal."""
        axes = request.query_params.getlist("yAxis") or ["count()"]
        _check_aggregates(axes, plain=False)
        dataset = _dataset(request)
        filters = search_scope(request, self._store)
        seconds = _interval(request.query_params.get("interval"), filters)
        rows = self._rows(request, dataset, filters)
        buckets: defaultdict[int, list[EventRow]] = defaultdict(list)
        for row in rows:
            buckets[int(row.at.timestamp()) // seconds].append(row)
        first, last = int(filters.start.timestamp()) // seconds, int(filters.end.timestamp()) // seconds
        now = datetime.now(UTC).timestamp()
        series = [
            {
                "yAxis": axis,
                "values": [
                    {
                        "timestamp": bucket * seconds * 1000,
                        "value": _aggregate(axis, buckets.get(bucket, [])) or 0,
                        "incomplete": (bucket + 1) * seconds > now,
                    }
                    for bucket in range(first, last + 1)
                ],
                "meta": {"interval": seconds * 1000, "valueType": _AGGREGATES[axis], "valueUnit": None},
            }
            for axis in axes
        ]
        meta = {"dataset": dataset, "start": filters.start.timestamp() * 1000, "end": filters.end.timestamp() * 1000}
        return JSONResponse({"timeSeries": series, "meta": meta})

    def _rows(self, request: Request, dataset: str, filters: SearchScope) -> list[EventRow]:
        terms = parse(request.query_params.get("query", ""))
        rows = self._all_rows(dataset, filters) if "sentry-empty" not in self._faults else ()
        return [row for row in rows if all(term.holds(reader(row.fields, row.tags)) for term in terms)]

    def _all_rows(self, dataset: str, filters: SearchScope) -> Iterable[EventRow]:
        if dataset == "spans":
            return [_span_row(span) for span in self._store.spans if filters.covers(span.environment, span.at)]
        return [
            _error_row(event, issue.short_id, issue.id)
            for issue in self._store.issues.values()
            for event in issue.events
            if filters.covers(event.environment, event.at)
        ]


def error_fields(event: ErrorEvent) -> dict[str, Value]:
    """What a search can ask of an error event."""
    return {
        "id": event.id,
        "timestamp": event.at,
        "title": event.title,
        "message": event.value,
        "level": event.level,
        "release": event.release,
        "environment": event.environment,
        "transaction": event.transaction,
        "error.type": event.type,
        "error.value": event.value,
        "error.handled": event.handled,
        "error.unhandled": not event.handled,
        "project": PROJECT,
        "project.name": PROJECT,
        "project.id": PROJECT_ID,
        "event.type": "error",
    }


def _error_row(event: ErrorEvent, issue: str, issue_id: int) -> EventRow:
    fields = error_fields(event) | {"issue": issue, "issue.id": str(issue_id)}
    return EventRow(event.at, fields, event.tags, failed=True)


def _span_row(span: SentrySpan) -> EventRow:
    fields: dict[str, Value] = {
        "timestamp": span.at,
        "release": span.release,
        "environment": span.environment,
        "transaction": span.transaction,
        "is_transaction": span.is_transaction,
        "span.status": span.status,
        "span.op": "http.server" if span.is_transaction else "db",
        "project": PROJECT,
        "project.name": PROJECT,
        "project.id": PROJECT_ID,
    }
    return EventRow(span.at, fields, span.tags, failed=span.status not in _NO_FAILURE, count=span.count)


def _dataset(request: Request) -> str:
    dataset = request.query_params.get("dataset", "")
    if dataset not in DATASETS:
        raise SentryRefusal(400, f"dataset must be one of: {', '.join(DATASETS)}")
    return dataset


def _check_aggregates(fields: list[str], *, plain: bool = True) -> None:
    for field in fields:
        if field not in _AGGREGATES and ("(" in field or not plain):
            raise SentryRefusal(400, f"{field} is not a valid function")


def _table(rows: list[EventRow], fields: list[str]) -> list[dict[str, Cell]]:
    """One line for each combination of the plain fields; without an aggregate, one for each event."""
    plain = [field for field in fields if field not in _AGGREGATES]
    if len(plain) == len(fields):
        newest_first = sorted(rows, key=lambda row: row.at, reverse=True)
        return [{field: row.cell(field) for field in plain} for row in newest_first for _ in range(row.count)]
    groups: defaultdict[tuple[Cell, ...], list[EventRow]] = defaultdict(list)
    if not plain:
        groups[()] = []  # a count of nothing is a line too
    for row in rows:
        groups[tuple(row.cell(field) for field in plain)].append(row)
    return [
        {field: dict(zip(plain, key, strict=True)).get(field, _aggregate(field, group)) for field in fields}
        for key, group in groups.items()
    ]


def _aggregate(field: str, rows: list[EventRow]) -> Cell:
    total = sum(row.count for row in rows)
    if field == "failure_rate()":
        return sum(row.count for row in rows if row.failed) / total if total else None
    return total if field == "count()" else None


def _sorted(lines: list[dict[str, Cell]], sort: str | None, fields: list[str]) -> list[dict[str, Cell]]:
    if not sort:
        return lines
    column = sort.removeprefix("-")
    if column not in fields:
        raise SentryRefusal(400, f"orderby must also be in the selected columns or groupby: {column}")

    def key(line: dict[str, Cell]) -> tuple[float, str]:
        value = line[column]
        return (value, "") if isinstance(value, int | float) else (-1.0, value or "")

    return sorted(lines, key=key, reverse=sort.startswith("-"))


def _interval(text: str | None, filters: SearchScope) -> int:
    """Seconds of a bucket; a sensible one unless a valid one is asked for."""
    length = (filters.end - filters.start).total_seconds()
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text and text[-1] in units and text[:-1].isdigit():
        seconds = int(text[:-1]) * units[text[-1]]
        if 0 < seconds <= length and length / seconds <= _MAX_POINTS:
            return seconds
    return next((step for step in (60, 300, 900, 3600, 14400) if length / step <= 200), 86400)
