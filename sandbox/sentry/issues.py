"""Sentry's issue endpoints: search, and how one issue spreads over the environments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import SentryRefusal, iso, not_found, page
from sandbox.sentry.model import ORGANIZATION, PROJECT, PROJECT_ID, Occurrences, SentryIssue
from sandbox.sentry.search import QueryTerm, parse, search_scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore, Value
    from sandbox.sentry.search import SearchScope

_DEFAULT_QUERY = "is:unresolved"
_SORTS = {"date": lambda pair: pair[1].last, "new": lambda pair: pair[1].first}
_WEB = f"https://{ORGANIZATION}.sentry.io"


class SentryIssueEndpoints:
    """Answers the issue endpoints over one store. With the fault sentry-empty a search finds nothing."""

    def __init__(self, store: SentryStore, faults: AbstractSet[str]) -> None:
        self._store = store
        self._faults = faults

    async def search(self, request: Request) -> Response:
        """`/issues/`. Without a query, what is archived or resolved does not show.

        Environments change what an issue says of itself: when it was first seen is then when it was first seen there.
        Raises SentryRefusal.
        """
        scope, asked = search_scope(request, self._store), request.query_params
        sort = asked.get("sort", "date")
        if sort not in _SORTS:
            raise SentryRefusal(400, f'"{sort}" is not a valid choice for sort.')
        found = self._matching(parse(asked.get("query", _DEFAULT_QUERY)), scope)
        if "sentry-empty" in self._faults:
            found = []
        found.sort(key=_SORTS[sort], reverse=True)
        shown, headers = page(request, found, lambda pair: _as_json(*pair), "limit")
        return JSONResponse(shown, headers={**headers, "X-Hits": str(len(found))})

    async def environments(self, request: Request) -> Response:
        """`/issues/{id}/tags/environment/`: its values, most frequent first. Raises SentryRefusal."""
        issue = self._store.issues.get(request.path_params["issue"])
        if issue is None:
            raise not_found()
        values = [
            {"value": value, "count": seen.count, "firstSeen": iso(seen.first), "lastSeen": iso(seen.last)}
            for value, seen in sorted(issue.seen.items(), key=lambda pair: pair[1].count, reverse=True)
        ]
        total = sum(seen.count for seen in issue.seen.values())
        totals = {"uniqueValues": len(values), "totalValues": total, "topValues": values}
        return JSONResponse({"key": "environment", "name": "Environment", **totals})

    async def releases(self, request: Request) -> Response:
        """`/issues/{id}/tags/release/`: its values in the kept events, most frequent first. Raises SentryRefusal."""
        issue = self._store.issues.get(request.path_params["issue"])
        if issue is None:
            raise not_found()
        environments = request.query_params.getlist("environment")
        seen = Counter[str]()
        for event in issue.events:
            if event.release and (not environments or event.environment in environments):
                seen[event.release] += event.count
        values = [{"value": value, "count": count} for value, count in seen.most_common()]
        totals = {"uniqueValues": len(values), "totalValues": seen.total(), "topValues": values}
        return JSONResponse({"key": "release", "name": "Release", **totals})

    def _matching(self, terms: list[QueryTerm], scope: SearchScope) -> list[tuple[SentryIssue, Occurrences]]:
        found = []
        for issue in self._store.issues.values():
            seen = issue.seen_in(scope.environments)
            if seen is None or seen.last < scope.start or seen.first > scope.end:
                continue
            facts: dict[str, Value] = {
                "is": issue.status,
                "issue.priority": issue.priority,
                "firstSeen": seen.first,
                "lastSeen": seen.last,
            }
            about_events = [term for term in terms if term.key not in facts]
            if all(term.holds(facts) for term in terms if term.key in facts) and _some_event(
                issue, about_events, scope
            ):
                found.append((issue, seen))
        return found


def _as_json(issue: SentryIssue, seen: Occurrences) -> dict[str, object]:
    first = issue.opened_by
    return {
        "id": str(issue.id),
        "title": first.title,
        "culprit": first.transaction,
        "permalink": f"{_WEB}/issues/{issue.id}/",
        "level": first.level,
        "status": issue.status,
        "priority": issue.priority,
        "project": {"id": PROJECT_ID, "name": PROJECT, "slug": PROJECT},
        "issueCategory": "error",
        "metadata": {"type": first.type, "value": first.value} if first.type else {"title": first.value},
        "isUnhandled": not first.handled,
        "userCount": 0,
        "count": str(seen.count),
        "firstSeen": iso(seen.first),
        "lastSeen": iso(seen.last),
    }


def _some_event(issue: SentryIssue, terms: list[QueryTerm], scope: SearchScope) -> bool:
    """Whether one event meets all the terms; for an issue of which no event is kept, whether there are no terms."""
    return not terms or any(
        all(term.holds(event.facts) for term in terms)
        for event in issue.events
        if scope.covers(event.environment, event.at)
    )
