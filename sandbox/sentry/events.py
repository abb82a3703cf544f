"""Sentry's Explore endpoint, as far as it counts: errors or spans that a search finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import SentryRefusal
from sandbox.sentry.search import parse, search_scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import ErrorEvent, SentrySpan, SentryStore

_COUNT, _RELEASE = "count()", "release"
_MOST_ROWS = 100


class SentryEventEndpoints:
    """Answers `/events/` over one store. With the fault sentry-empty it finds nothing."""

    def __init__(self, store: SentryStore, faults: AbstractSet[str]) -> None:
        self._store = store
        self._faults = faults

    async def read(self, request: Request) -> Response:
        """`/events/` for its field count(), alone or by release. Raises SentryRefusal."""
        fields, dataset = request.query_params.getlist("field"), request.query_params.get("dataset", "")
        if fields not in ([_COUNT], [_RELEASE, _COUNT]):
            raise SentryRefusal(400, f"the fields must be {_COUNT}, alone or after {_RELEASE}")
        datasets: dict[str, Iterable[ErrorEvent | SentrySpan]] = {
            "errors": self._store.errors(),
            "spans": self._store.spans,
        }
        if dataset not in datasets:
            raise SentryRefusal(400, f"dataset must be one of: {', '.join(datasets)}")
        scope, terms = search_scope(request, self._store), parse(request.query_params.get("query", ""))
        counts = Counter[str]()
        for event in datasets[dataset] if "sentry-empty" not in self._faults else ():
            if scope.covers(event.environment, event.at) and all(term.holds(event.facts) for term in terms):
                counts[event.release] += event.count
        kinds = {name: "integer" if name == _COUNT else "string" for name in fields}
        meta = {"fields": kinds, "units": dict.fromkeys(fields), "isMetricsData": False, "dataset": dataset}
        rows: list[dict[str, str | int | None]] = [{_COUNT: counts.total()}]
        if _RELEASE in fields:
            rows = [{_RELEASE: release or None, _COUNT: count} for release, count in counts.most_common(_MOST_ROWS)]
        return JSONResponse({"data": rows, "meta": meta})
