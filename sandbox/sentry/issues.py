"""Sentry's issue endpoints: search, one issue, and how it spreads over the environments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.events import error_fields
from sandbox.sentry.http import SentryRefusal, iso, not_found, page
from sandbox.sentry.model import ORGANIZATION, PROJECT, PROJECT_ID, Occurrences, SentryIssue
from sandbox.sentry.search import QueryTerm, Value, parse, reader, search_scope

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore
    from sandbox.sentry.search import SearchScope

_DEFAULT_QUERY = "is:unresolved issue.priority:[high, medium]"
_STATUSES = {status: status for status in ("unresolved", "resolved", "ignored")}
_STATUSES |= {"archived": "ignored", "muted": "ignored"}
_ISSUE_KEYS = frozenset(
    [
        "is",
        "issue",
        "issue.priority",
        "firstSeen",
        "first_seen",
        "age",
        "lastSeen",
        "last_seen",
        "timesSeen",
        "times_seen",
    ]
)
_SORTS = ("date", "new", "freq")
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
        filters = search_scope(request, self._store)
        sort = request.query_params.get("sort", "date")
        if sort not in _SORTS:
            raise SentryRefusal(400, f'"{sort}" is not a valid choice for sort.')
        terms = parse(request.query_params.get("query", _DEFAULT_QUERY))
        for term in terms:
            if term.key == "is" and (unknown := [value for value in term.values if value not in _STATUSES]):
                raise SentryRefusal(400, f'invalid status value of "{unknown[0]}"')
        found = [] if "sentry-empty" in self._faults else self._matching(terms, filters)
        found.sort(key=lambda pair: _rank(sort, pair[1]), reverse=True)
        shown, headers = page(request, found, lambda pair: _as_json(*pair), "limit")
        return JSONResponse(shown, headers={**headers, "X-Hits": str(len(found))})

    async def read(self, request: Request) -> Response:
        """`/issues/{id}/`. Raises SentryRefusal."""
        issue = self._issue(request)
        seen = issue.seen_in(())
        assert seen is not None
        return JSONResponse(_as_json(issue, seen))

    async def tag(self, request: Request) -> Response:
        """`/issues/{id}/tags/{key}/`: its values, most frequent first. Raises SentryRefusal."""
        issue, key = self._issue(request), request.path_params["key"]
        found = issue.seen if key == "environment" else _tag_values(issue, key)
        if not found:
            raise not_found()
        values = [
            {
                "key": key,
                "name": value,
                "value": value,
                "query": f'{key}:"{value}"',
                "count": seen.count,
                "firstSeen": iso(seen.first),
                "lastSeen": iso(seen.last),
            }
            for value, seen in sorted(found.items(), key=lambda pair: pair[1].count, reverse=True)
        ]
        total = sum(seen.count for seen in found.values())
        totals = {"uniqueValues": len(values), "totalValues": total, "topValues": values[:10]}
        return JSONResponse({"key": key, "name": key.capitalize(), **totals})

    def _issue(self, request: Request) -> SentryIssue:
        wanted = request.path_params["issue"]
        for issue in self._store.issues.values():
            if wanted in {str(issue.id), issue.short_id}:
                return issue
        raise not_found()

    def _matching(self, terms: list[QueryTerm], filters: SearchScope) -> list[tuple[SentryIssue, Occurrences]]:
        about_issue = [term for term in terms if term.key in _ISSUE_KEYS]
        about_events = [term for term in terms if term.key not in _ISSUE_KEYS]
        found = []
        for issue in self._store.issues.values():
            seen = issue.seen_in(filters.environments)
            if seen is None or seen.last < filters.start or seen.first > filters.end:
                continue
            facts = _facts(issue, seen)
            if all(_holds(term, issue, facts) for term in about_issue) and _some_event(issue, about_events, filters):
                found.append((issue, seen))
        return found


def _as_json(issue: SentryIssue, seen: Occurrences) -> dict[str, object]:
    first = issue.opened_by
    project = {"id": PROJECT_ID, "name": PROJECT, "slug": PROJECT, "platform": "python"}
    return {
        "id": str(issue.id),
        "shortId": issue.short_id,
        "title": first.title,
        "culprit": first.transaction,
        "permalink": f"{_WEB}/issues/{issue.id}/",
        "level": first.level,
        "status": issue.status,
        "statusDetails": {},
        "substatus": {"unresolved": "ongoing", "ignored": "archived_forever"}.get(issue.status),
        "priority": issue.priority,
        "platform": "python",
        "project": project,
        "type": "error" if first.type else "default",
        "issueType": "error",
        "issueCategory": "error",
        "metadata": {"type": first.type, "value": first.value} if first.type else {"title": first.value},
        "isUnhandled": not first.handled,
        **dict.fromkeys(("isPublic", "isBookmarked", "isSubscribed", "hasSeen"), False),
        **dict.fromkeys(("assignedTo", "logger", "shareId")),
        **dict.fromkeys(("numComments", "userCount"), 0),
        "annotations": [],
        "count": str(seen.count),
        "firstSeen": iso(seen.first),
        "lastSeen": iso(seen.last),
    }


def _facts(issue: SentryIssue, seen: Occurrences) -> dict[str, Value]:
    facts: dict[str, Value] = {
        "issue": issue.short_id,
        "issue.priority": issue.priority,
        "firstSeen": seen.first,
        "age": seen.first,
        "lastSeen": seen.last,
        "timesSeen": seen.count,
    }
    return facts | {"first_seen": seen.first, "last_seen": seen.last, "times_seen": seen.count}


def _holds(term: QueryTerm, issue: SentryIssue, facts: dict[str, Value]) -> bool:
    if term.key == "is":
        return any(_STATUSES[value] == issue.status for value in term.values) != term.negated
    return term.holds(reader(facts))


def _some_event(issue: SentryIssue, terms: list[QueryTerm], filters: SearchScope) -> bool:
    """Whether one event meets all the terms; for an issue of which no event is kept, whether there are no terms."""
    if not terms:
        return True
    return any(
        all(term.holds(reader(error_fields(event), event.tags)) for term in terms)
        for event in issue.events
        if filters.covers(event.environment, event.at)
    )


def _rank(sort: str, seen: Occurrences) -> tuple[float, datetime]:
    if sort == "new":
        return seen.first.timestamp(), seen.last
    if sort == "freq":
        return seen.count, seen.last
    return seen.last.timestamp(), seen.last


def _tag_values(issue: SentryIssue, key: str) -> dict[str, Occurrences]:
    counts: Counter[str] = Counter()
    times: dict[str, list[datetime]] = {}
    for event in issue.events:
        value = (
            reader(error_fields(event), event.tags)(key) if key in {"release", "level"} else dict(event.tags).get(key)
        )
        if isinstance(value, str) and value:
            counts[value] += 1
            times.setdefault(value, []).append(event.at)
    return {value: Occurrences(min(times[value]), max(times[value]), count) for value, count in counts.items()}
