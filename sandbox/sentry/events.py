"""Sentry's Explore endpoint, as far as it counts: errors or spans that a search finds."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import SentryRefusal
from sandbox.sentry.search import parse, search_scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import ErrorEvent, SentrySpan, SentryStore

_COUNT = "count()"


class SentryEventEndpoints:
    """Answers `/events/` over one store. With the fault sentry-empty it finds nothing."""

    def __init__(self, store: SentryStore, faults: AbstractSet[str]) -> None:
        self._store = store
        self._faults = faults

    async def read(self, request: Request) -> Response:
        """`/events/` for its field count() alone. Raises SentryRefusal."""
        fields, dataset = request.query_params.getlist("field"), request.query_params.get("dataset", "")
        if fields != [_COUNT]:
            raise SentryRefusal(400, f"the fields must be {_COUNT} alone")
        datasets: dict[str, Iterable[ErrorEvent | SentrySpan]] = {
            "errors": self._store.errors(),
            "spans": self._store.spans,
        }
        if dataset not in datasets:
            raise SentryRefusal(400, f"dataset must be one of: {', '.join(datasets)}")
        scope, terms = search_scope(request, self._store), parse(request.query_params.get("query", ""))
        found = sum(
            event.count
            for event in datasets[dataset]
            if scope.covers(event.environment, event.at) and all(term.holds(event.facts) for term in terms)
        )
        meta = {"fields": {_COUNT: "integer"}, "units": {_COUNT: None}, "isMetricsData": False, "dataset": dataset}
        return JSONResponse({"data": [{_COUNT: 0 if "sentry-empty" in self._faults else found}], "meta": meta})
