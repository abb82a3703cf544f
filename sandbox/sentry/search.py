"""Sentry's search language, as much of it as the sandbox speaks: `key:value` terms that must all hold.

A term may be negated (`!key:value`), take a list (`key:[a,b]`), a comparison (`key:>=2026-01-01T00:00:00Z`), a relative
time (`age:-24h`), quotes and `*`. A word without a key is looked for in the title. OR and parentheses are refused. A
key that is not known is taken for a tag, which nothing carries: the answer is empty, and no error.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from sandbox.sentry.http import FORBIDDEN, SentryRefusal, not_found
from sandbox.sentry.model import PROJECT_ID
from sandbox.vendor_api import moment

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore

Value = str | bool | int | datetime | None
Comparable = TypeVar("Comparable", int, datetime)
Read = Callable[[str], Value]  # the value of a key; None if there is none

_TERM = re.compile(
    r'(?P<not>!)?(?P<key>[\w.\-\[\]]+):(?P<value>\[[^\]]*\]|"(?:[^"\\]|\\.)*"|\S*)(?=\s|$)|(?P<word>"[^"]*"|\S+)'
)
_DEFAULT_PERIOD = timedelta(days=90)
_COMPARISON = re.compile(r"(>=|<=|>|<)?(.*)", re.DOTALL)
_RELATIVE = re.compile(r"([+-])(\d+)([mhdw])")
_PERIOD = re.compile(r"(\d+)([smhdw])")
_ORDERINGS = {"": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """One condition. A key of "" looks for text in the title."""

    key: str
    operator: str  # "" for equality, else one of > >= < <=
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, read: Read) -> bool:
        """Whether the thing whose keys `read` reads meets it. Raises SentryRefusal for a value of the wrong form."""
        return self._positively(read) != self.negated

    def _positively(self, read: Read) -> bool:
        if self.key == "":
            return self.values[0].lower() in str(read("title")).lower()
        if self.key == "has":
            return read(self.values[0]) not in {None, ""}
        found = read(self.key)
        return any(self._matches(found, value) for value in self.values)

    def _matches(self, found: Value, wanted: str) -> bool:
        if isinstance(found, datetime):
            return self._in_time(found, wanted)
        if isinstance(found, bool):
            return wanted.lower() in ({"true", "1"} if found else {"false", "0"})
        if isinstance(found, int):
            if not wanted.isdigit():
                raise SentryRefusal(400, f"{self.key}: Invalid number: {wanted}. Expected a whole number.")
            return _compare(found, self.operator, int(wanted))
        if found is None:
            return wanted == ""
        return fnmatchcase(found, wanted.replace("[", "[[]").replace("?", "[?]"))

    def _in_time(self, found: datetime, wanted: str) -> bool:
        if relative := _RELATIVE.fullmatch(wanted):
            boundary = datetime.now(UTC) - timedelta(**{_UNITS[relative[3]]: int(relative[2])})
            return found >= boundary if relative[1] == "-" else found <= boundary
        return _compare(found, self.operator, asked_moment(wanted, self.key))


def parse(query: str) -> list[QueryTerm]:
    """The terms of a query. Raises SentryRefusal."""
    terms = []
    for match in _TERM.finditer(query):
        word = match["word"]
        if word is None:
            terms.append(_term(match["key"], match["value"], negated=bool(match["not"])))
        elif word in {"OR", "AND"} or word[0] in "()" or word[-1] == ")":
            raise SentryRefusal(400, 'Boolean statements containing "OR" or "AND" are not supported in this search')
        else:
            terms.append(QueryTerm("", "", (word.strip('"'),)))
    return terms


def _term(key: str, text: str, *, negated: bool) -> QueryTerm:
    if key.startswith("tags[") and key.endswith("]"):
        key = key[len("tags[") : -1]
    if not text:
        raise SentryRefusal(400, f"Empty string after '{key}:'")
    if text.startswith("["):
        return QueryTerm(key, "", tuple(part.strip().strip('"') for part in text[1:-1].split(",")), negated)
    if text.startswith('"'):
        return QueryTerm(key, "", (text[1:-1].replace('\\"', '"'),), negated)
    comparison = _COMPARISON.fullmatch(text)
    assert comparison is not None
    return QueryTerm(key, comparison[1] or "", (comparison[2],), negated)


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
    """Read environment, project, statsPeriod, start and end. Raises SentryRefusal."""
    _check_projects(request.query_params.getlist("project"))
    environments = frozenset(request.query_params.getlist("environment")) - {""}
    if environments - store.environments:
        raise not_found()
    return SearchScope(environments, *_stretch(request))


def asked_moment(text: str, key: str) -> datetime:
    """A point in time. Raises SentryRefusal, which names `key`."""
    try:
        return moment(text)
    except ValueError:
        raise SentryRefusal(
            400,
            f"{key}: Invalid date: {text}. Expected +/-duration (e.g. +1h) or ISO 8601-like "
            "(e.g. 2026-01-31 or 2026-01-31T09:00:00).",
        ) from None


def ago(text: str, now: datetime) -> datetime:
    """A point that lies a length of time such as 15m or 24h before `now`. Raises SentryRefusal."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise SentryRefusal(400, f"Invalid statsPeriod: {text!r}")
    try:
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise SentryRefusal(400, str(error)) from None


def _check_projects(projects: list[str]) -> None:
    for project in projects:
        if not project.removeprefix("-").isdigit():
            raise SentryRefusal(400, "Invalid project parameter. Values must be numbers.")
        if project not in {"-1", PROJECT_ID}:
            raise SentryRefusal(403, FORBIDDEN)


def _stretch(request: Request) -> tuple[datetime, datetime]:
    asked = request.query_params
    now = datetime.now(UTC)
    if "statsPeriod" in asked:
        return ago(asked["statsPeriod"], now), now
    if "start" not in asked and "end" not in asked:
        return now - _DEFAULT_PERIOD, now
    if "start" not in asked or "end" not in asked:
        raise SentryRefusal(400, "start and end are both required")
    start, end = asked_moment(asked["start"], "start"), asked_moment(asked["end"], "end")
    if start > end:
        raise SentryRefusal(400, "start must be before end")
    return start, end


def reader(known: Mapping[str, Value], tags: tuple[tuple[str, str], ...] = ()) -> Read:
    """Reads known keys first and tags after them."""
    by_name = dict(tags)
    return lambda key: known[key] if key in known else by_name.get(key)


def _compare(found: Comparable, order: str, wanted: Comparable) -> bool:
    return bool(_ORDERINGS[order](found, wanted))
