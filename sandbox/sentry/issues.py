"""Sentry's issue endpoints: search, one issue, and how it spreads over the environments."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.sentry.events import error_fields
from sandbox.sentry.http import SentryRefusal, iso, page, search_filter
from sandbox.sentry.model import PROJECT, PROJECT_ID, Issue, Seen
from sandbox.sentry.search import BadQueryError, Term, Value, parse, reader

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.http import Filter
    from sandbox.sentry.model import SentryStore

_DEFAULT_PERIOD = timedelta(days=90)
_DEFAULT_QUERY = "is:unresolved issue.priority:[high, medium]"
_STATUSES = {
    "unresolved": "unresolved",
    "resolved": "resolved",
    "ignored": "ignored",
    "archived": "ignored",
    "muted": "ignored",
}
_ISSUE_KEYS = {
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
}
_SORTS = ("date", "new", "freq")
_NOT_FOUND = "The requested resource does not exist"


class SentryIssues:
    """Answers the issue endpoints over one store; `url` is where people would look at them."""

    def __init__(self, store: SentryStore, url: str) -> None:
        self._store = store
        self._url = url

    def search(self, request: Request, *, empty: bool) -> tuple[list[dict[str, object]], dict[str, str]]:
        """The body and the headers of `/issues/`. Without a query, what is archived or resolved does not show.

        Environments change what an issue says of itself: when it was first seen is then when it was first seen there.
        Raises SentryRefusal.
        """
        filters = search_filter(request, self._store, _DEFAULT_PERIOD)
        sort = request.query_params.get("sort", "date")
        if sort not in _SORTS:
            raise SentryRefusal(400, f'"{sort}" is not a valid choice for sort.')
        try:
            terms = parse(request.query_params.get("query", _DEFAULT_QUERY))
            _check(terms)
            found = [] if empty else self._matching(terms, filters)
        except BadQueryError as error:
            raise SentryRefusal(400, f"Error parsing search query: {error}") from None
        found.sort(key=lambda pair: _rank(sort, pair[1]), reverse=True)
        shown, headers = page(request, found, "limit")
        headers["X-Hits"] = str(len(found))
        return [self._as_json(issue, seen) for issue, seen in shown], headers

    def one(self, request: Request) -> dict[str, object]:
        """The body of `/issues/{id}/`. Raises SentryRefusal."""
        issue = self._issue(request)
        seen = issue.seen_in(())
        assert seen is not None
        return self._as_json(issue, seen)

    def tag(self, request: Request) -> dict[str, object]:
        """The body of `/issues/{id}/tags/{key}/`: its values, most frequent first. Raises SentryRefusal."""
        issue, key = self._issue(request), request.path_params["key"]
        found = issue.seen if key == "environment" else _tag_values(issue, key)
        if not found:
            raise SentryRefusal(404, _NOT_FOUND)
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
        return {
            "key": key,
            "name": key.capitalize(),
            "uniqueValues": len(values),
            "totalValues": total,
            "topValues": values[:10],
        }

    def _issue(self, request: Request) -> Issue:
        wanted = request.path_params["issue"]
        for issue in self._store.issues.values():
            if wanted in {str(issue.id), issue.short_id}:
                return issue
        raise SentryRefusal(404, _NOT_FOUND)

    def _matching(self, terms: list[Term], filters: Filter) -> list[tuple[Issue, Seen]]:
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

    def _as_json(self, issue: Issue, seen: Seen) -> dict[str, object]:
        project = {"id": PROJECT_ID, "name": PROJECT, "slug": PROJECT, "platform": "python"}
        return {
            "id": str(issue.id),
            "shortId": issue.short_id,
            "title": issue.title,
            "culprit": issue.culprit,
            "permalink": f"{self._url}/issues/{issue.id}/",
            "level": issue.level,
            "status": issue.status,
            "statusDetails": {},
            "substatus": {"unresolved": "ongoing", "ignored": "archived_forever"}.get(issue.status),
            "priority": issue.priority,
            "platform": "python",
            "project": project,
            "type": "error" if issue.type else "default",
            "issueType": "error",
            "issueCategory": "error",
            "metadata": {"type": issue.type, "value": issue.value} if issue.type else {"title": issue.value},
            "isUnhandled": not issue.handled,
            "isPublic": False,
            "isBookmarked": False,
            "isSubscribed": False,
            "hasSeen": False,
            "assignedTo": None,
            "annotations": [],
            "logger": None,
            "numComments": 0,
            "shareId": None,
            "userCount": 0,
            "count": str(seen.count),
            "firstSeen": iso(seen.first),
            "lastSeen": iso(seen.last),
        }


def _facts(issue: Issue, seen: Seen) -> dict[str, Value]:
    facts: dict[str, Value] = {
        "issue": issue.short_id,
        "issue.priority": issue.priority,
        "firstSeen": seen.first,
        "age": seen.first,
        "lastSeen": seen.last,
        "timesSeen": seen.count,
    }
    return facts | {"first_seen": seen.first, "last_seen": seen.last, "times_seen": seen.count}


def _holds(term: Term, issue: Issue, facts: dict[str, Value]) -> bool:
    if term.key == "is":
        return any(_STATUSES[value] == issue.status for value in term.values) != term.negated
    return term.holds(reader(facts))


def _some_event(issue: Issue, terms: list[Term], filters: Filter) -> bool:
    """Whether one event meets all the terms; for an issue of which no event is kept, whether there are no terms."""
    if not terms:
        return True
    return any(
        all(term.holds(reader(error_fields(event), event.tags)) for term in terms)
        for event in issue.events
        if filters.covers(event.environment, event.at)
    )


def _check(terms: list[Term]) -> None:
    for term in terms:
        if term.key == "is" and (unknown := [value for value in term.values if value not in _STATUSES]):
            raise BadQueryError(f'invalid status value of "{unknown[0]}"')


def _rank(sort: str, seen: Seen) -> tuple[float, datetime]:
    if sort == "new":
        return seen.first.timestamp(), seen.last
    if sort == "freq":
        return seen.count, seen.last
    return seen.last.timestamp(), seen.last


def _tag_values(issue: Issue, key: str) -> dict[str, Seen]:
    counts: Counter[str] = Counter()
    times: dict[str, list[datetime]] = {}
    for event in issue.events:
        value = (
            reader(error_fields(event), event.tags)(key) if key in {"release", "level"} else dict(event.tags).get(key)
        )
        if isinstance(value, str) and value:
            counts[value] += 1
            times.setdefault(value, []).append(event.at)
    return {value: Seen(min(times[value]), max(times[value]), count) for value, count in counts.items()}
