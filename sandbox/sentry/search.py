"""Sentry's search language, as much of it as the sandbox speaks: `key:value` terms that must all hold.

A term may be negated (`!key:value`), compare (`key:>=2026-01-01T00:00:00Z`) and hold `*`. Everything else is refused.
A key that is not known is taken for a tag, which nothing carries: the answer is empty, and no error.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sandbox.sentry.http import FORBIDDEN, SentryRefusal, not_found
from sandbox.sentry.model import PROJECT_ID, Value
from sandbox.vendor_api import asked_moment

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore

_TERM = re.compile(r"(?P<negated>!?)(?P<key>[\w.\-]+):(?P<order>>=|<=|>|<|)(?P<value>[^\s\[\"(]\S*)")
_DEFAULT_PERIOD = timedelta(days=90)
_ORDERINGS = {"": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """One condition; `order` is one of > >= < <=, and empty for equality."""

    key: str
    order: str
    value: str
    negated: bool

    def holds(self, facts: Mapping[str, Value]) -> bool:
        """Whether something of which these facts are known meets it. Raises SentryRefusal for a time that is none."""
        return self._matches(facts) != self.negated

    def _matches(self, facts: Mapping[str, Value]) -> bool:
        if self.key == "has":
            return bool(facts.get(self.value))
        found = facts.get(self.key)
        if isinstance(found, datetime):
            return bool(_ORDERINGS[self.order](found, point_in_time(self.value, self.key)))
        if isinstance(found, bool):
            return self.value == str(found).lower()
        return found is not None and fnmatchcase(found, self.value.replace("[", "[[]").replace("?", "[?]"))


def parse(query: str) -> list[QueryTerm]:
    """The terms of a query. Raises SentryRefusal."""
    terms = []
    for word in query.split():
        match = _TERM.fullmatch(word)
        if match is None:
            raise SentryRefusal(400, f"{word}: this search takes terms of the form key:value alone")
        terms.append(QueryTerm(match["key"], match["order"], match["value"], bool(match["negated"])))
    return terms


@dataclass(frozen=True, slots=True)
class SearchScope:
    """What a search is about: some environments (none: all) and a stretch of time."""

    environments: frozenset[str]
    start: datetime
    end: datetime

    def covers(self, environment: str, at: datetime) -> bool:
        """Whether something that happened there and then counts."""
        return self.start <= at <= self.end and (not self.environments or environment in self.environments)


def search_scope(request: Request, store: SentryStore) -> SearchScope:
    """Read project, environment, start and end. Raises SentryRefusal."""
    asked = request.query_params
    for project in asked.getlist("project"):
        if not project.removeprefix("-").isdigit():
            raise SentryRefusal(400, "Invalid project parameter. Values must be numbers.")
        if project not in {"-1", PROJECT_ID}:
            raise SentryRefusal(403, FORBIDDEN)
    environments = frozenset(asked.getlist("environment")) - {""}
    if environments - store.environments:
        raise not_found()
    if ("start" in asked) != ("end" in asked):
        raise SentryRefusal(400, "start and end are both required")
    now = datetime.now(UTC)
    start = point_in_time(asked["start"], "start") if "start" in asked else now - _DEFAULT_PERIOD
    end = point_in_time(asked["end"], "end") if "end" in asked else now
    if start > end:
        raise SentryRefusal(400, "start must be before end")
    return SearchScope(environments, start, end)


def point_in_time(text: str, key: str) -> datetime:
    """A time that a request names. Raises SentryRefusal, which names `key`."""
    message = f"{key}: Invalid date: {text}. Expected ISO 8601-like (e.g. 2026-01-31 or 2026-01-31T09:00:00)."
    return asked_moment(text, SentryRefusal(400, message))
