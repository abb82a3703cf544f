"""What the sandbox's Sentry knows: issues with their events, spans, releases and deploys, as plain data."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

ORGANIZATION, ORGANIZATION_ID = "bayit-plus", "4507100000000001"
PROJECT, PROJECT_ID = "bayit-plus-backend", "4507100000000101"
_KEPT_EVENTS = 50_000  # for each issue
_KEPT_SPANS = 100_000
_FIRST_ISSUE_ID = 5_900_000_001

Status = Literal["unresolved", "resolved", "ignored"]
Value = str | bool | datetime | None  # of a fact that a search can ask for


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """One occurrence of an error."""

    id: str  # 32 hexadecimal digits
    at: datetime
    environment: str
    release: str
    level: str
    type: str  # the exception's; empty for a message
    value: str
    transaction: str
    handled: bool = True
    tags: tuple[tuple[str, str], ...] = ()
    count: int = 1

    @property
    def title(self) -> str:
        """What an issue's headline says."""
        return f"{self.type}: {self.value}" if self.type else self.value

    @property
    def facts(self) -> dict[str, Value]:
        """What a search can ask of it: its tags, and what every error has."""
        return {
            **dict(self.tags),
            "timestamp": self.at,
            "title": self.title,
            "message": self.value,
            "level": self.level,
            "release": self.release,
            "environment": self.environment,
            "transaction": self.transaction,
            "error.type": self.type,
            "error.value": self.value,
            "error.handled": self.handled,
        }


@dataclass(frozen=True, slots=True)
class SentrySpan:
    """One span, or `count` spans that are alike; the root span of a request is its transaction."""

    at: datetime
    environment: str
    release: str
    transaction: str
    status: str  # ok, not_found, internal_error, ...
    is_transaction: bool = True
    count: int = 1
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def facts(self) -> dict[str, Value]:
        """What a search can ask of it: its tags, and what every span has."""
        return {
            **dict(self.tags),
            "timestamp": self.at,
            "release": self.release,
            "environment": self.environment,
            "transaction": self.transaction,
            "is_transaction": self.is_transaction,
            "span.status": self.status,
        }


@dataclass(slots=True)
class Occurrences:
    """When, and how often, an issue was seen in one environment."""

    first: datetime
    last: datetime
    count: int = 0


@dataclass(slots=True)
class SentryIssue:
    """All occurrences of one error, in whatever environment. `events` are the most recent ones."""

    id: int
    fingerprint: str
    opened_by: ErrorEvent  # the first, which the issue takes its title, culprit and level from
    priority: str
    status: Status = "unresolved"
    seen: dict[str, Occurrences] = field(default_factory=dict)  # by environment
    events: deque[ErrorEvent] = field(default_factory=lambda: deque(maxlen=_KEPT_EVENTS))

    def seen_in(self, environments: Iterable[str]) -> Occurrences | None:
        """Over some environments (none given: over all) together; None if it was never seen there."""
        wanted = frozenset(environments)
        found = [seen for environment, seen in self.seen.items() if not wanted or environment in wanted]
        if not found:
            return None
        first, last = min(seen.first for seen in found), max(seen.last for seen in found)
        return Occurrences(first, last, sum(seen.count for seen in found))


@dataclass(frozen=True, slots=True)
class SentryDeploy:
    """One deploy of a release to an environment."""

    id: int
    environment: str
    name: str | None
    started: datetime | None
    finished: datetime


@dataclass(slots=True)
class SentryRelease:
    """A version, known because somebody created it or because an event named it."""

    version: str
    created: datetime
    deploys: list[SentryDeploy] = field(default_factory=list)


class SentryStore:
    """Everything that was ingested. An environment and a release exist once an event has named them."""

    def __init__(self) -> None:
        self.issues: dict[int, SentryIssue] = {}
        self.spans: deque[SentrySpan] = deque(maxlen=_KEPT_SPANS)
        self.releases: dict[str, SentryRelease] = {}
        self.environments: set[str] = set()
        self.created = datetime.now(UTC)
        self._by_fingerprint: dict[str, SentryIssue] = {}

    def errors(self) -> Iterator[ErrorEvent]:
        """All error events that are kept, in no particular order."""
        for issue in self.issues.values():
            yield from issue.events

    def add_error(self, event: ErrorEvent, fingerprint: str) -> SentryIssue:
        """File an event under the issue with its fingerprint, which it opens, or opens again, if need be."""
        issue = self._by_fingerprint.get(fingerprint) or self._open(event, fingerprint)
        if issue.status == "resolved":
            issue.status = "unresolved"  # a regression; what is archived stays archived
        issue.events.append(event)
        seen = issue.seen.setdefault(event.environment, Occurrences(event.at, event.at))
        seen.first, seen.last = min(seen.first, event.at), max(seen.last, event.at)
        seen.count += 1
        self._named(event.environment, event.release)
        return issue

    def add_span(self, span: SentrySpan) -> None:
        """Keep a span."""
        self.spans.append(span)
        self._named(span.environment, span.release)

    def release(self, version: str) -> SentryRelease:
        """The release of that version, which exists from now on."""
        return self.releases.setdefault(version, SentryRelease(version, datetime.now(UTC)))

    def _open(self, event: ErrorEvent, fingerprint: str) -> SentryIssue:
        number = _FIRST_ISSUE_ID + len(self.issues)
        issue = SentryIssue(number, fingerprint, event, priority_of(event.level))
        self.issues[issue.id] = self._by_fingerprint[fingerprint] = issue
        return issue

    def _named(self, environment: str, release: str) -> None:
        self.environments.add(environment)
        if release:
            self.release(release)


def priority_of(level: str) -> str:
    """What Sentry's own assessment of a new issue comes to here: an ordinary error is of medium priority."""
    return {"fatal": "high", "error": "medium", "warning": "medium"}.get(level, "low")


def digest(*parts: str) -> str:
    """A fingerprint of some strings."""
    return hashlib.sha1("\0".join(parts).encode(), usedforsecurity=False).hexdigest()
