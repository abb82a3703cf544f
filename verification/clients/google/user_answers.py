"""Who answered users just before a revision began to: the request log's word on it, and Cloud Monitoring's.

It is what users saw, whoever moved the traffic and whoever noted it. No answer says nothing, nor do split ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from verification.clients.google.cloud_logging import CloudLogging, quoted
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.deadline import now

_LOOKED_BACK = timedelta(days=7)
_MEASURED_BACK = timedelta(hours=6)  # in Cloud Monitoring, which gives every minute
_LATEST = 100  # requests
_IN_A_ROW = 10  # so many answers, one after the other, are no split's
_TAG_ADDRESS = "^https://[^/]+---"


@dataclass(frozen=True, slots=True)
class UserAnswers:
    """The `revision` that answered users until `until`, and still did at `at`; empty where that is not known.

    `problem` says why then; `words` tell what was seen, `hosts` what the answered users had asked. `logged`: the
    project keeps a request log, so that nobody was answered who is not in it. `unheard`: who could tell gave no answer.
    """

    revision: str = ""
    at: datetime | None = None
    until: datetime | None = None
    words: str = ""
    hosts: frozenset[str] = frozenset()
    problem: str = ""
    logged: bool = False
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The revision before which somebody else answered, and whose questions are no users': by agent, or by a tag."""

    revision: str
    created: datetime
    our_agent: str
    tag_addresses: tuple[str, ...] = ()

    @property
    def users(self) -> str:
        """The requests of users, in Logging's query language."""
        ours = f"NOT httpRequest.userAgent:{quoted(self.our_agent)}"
        tags = [f"NOT httpRequest.requestUrl:{quoted(f'{address}/')}" for address in self.tag_addresses]
        return " AND ".join([ours, f"NOT httpRequest.requestUrl=~{quoted(_TAG_ADDRESS)}", *tags])


def by_request_log(log: CloudLogging, newcomer: Newcomer) -> UserAnswers:
    """What the request log tells. Raises ObserverError, NotPermitted."""
    present = now()
    named = f"resource.labels.revision_name={quoted(newcomer.revision)}"
    first = log.some_requests(newcomer.created, present, 1, f"{newcomer.users} AND {named}").requests
    until = first[0].at if first else present
    others = f"resource.labels.revision_name:* AND NOT {named}"
    since = until - _LOOKED_BACK
    found = log.some_requests(since, until, _LATEST, f"{newcomer.users} AND {others}", newest=True).requests
    if not found:  # where our own questions are not there either, the project keeps no request log
        kept = bool(log.some_requests(since, present, 1).requests)
        return UserAnswers(problem="no user was answered before", logged=kept)
    names = [request.revision for request in found]
    revision, row = names[-1], _last_in_a_row(names)
    if row < _IN_A_ROW and revision in names[:-row]:
        return UserAnswers(problem=f"users were answered by {_listed(names)} in turns", logged=True)
    at, counted = found[-1].at, f"{row} users in a row" if row > 1 else "a user"
    words = f"it answered {counted}, last {at:%Y-%m-%d %H:%M:%S} UTC"
    return UserAnswers(revision, at, until, words, frozenset(request.host for request in found), logged=True)


def by_request_count(monitoring: CloudMonitoring, newcomer: Newcomer) -> UserAnswers:
    """What Cloud Monitoring tells, where our own questions count as users'. Raises ObserverError, NotPermitted."""
    present = now()
    periods = monitoring.requests(min(newcomer.created, present) - _MEASURED_BACK, present)
    asked = [period for period in periods if period.requests and period.revision]
    began = min((one.end for one in asked if one.revision == newcomer.revision), default=present)
    earlier = [one for one in asked if one.revision != newcomer.revision and one.end <= began]
    if not earlier:
        return UserAnswers(problem="no user was answered before")
    until = max(one.end for one in earlier)
    last = [one for one in earlier if one.end == until]
    if len(last) > 1:
        return UserAnswers(problem=f"users were answered by {_listed(one.revision for one in last)} in the same minute")
    words = f"it answered {last[0].requests} requests until {until:%Y-%m-%d %H:%M:%S} UTC"
    return UserAnswers(last[0].revision, last[0].start, began, words)  # no later than its last answer


def _last_in_a_row(names: Sequence[str]) -> int:
    return len(list(takewhile(lambda name: name == names[-1], reversed(names))))


def _listed(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
