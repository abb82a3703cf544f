"""Seed data of Sentry: two days of traffic, and issues that are known already."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sandbox.sentry.model import ErrorEvent, SentrySpan, SentryStore, Status, digest

_STEP = timedelta(minutes=5)
_LENGTH = timedelta(days=2)
_PER_STEP = {"production": 120, "staging": 30}  # transactions; 34,560 and 8,640 in a day
_REFUSED_SHARE, _FAILED_SHARE = 0.02, 0.002
_SPANS_BELOW = 2  # database calls of a request
_PATHS = ("/api/v1/content", "/api/v1/search", "/api/v1/auth/login", "/media/{media_id}.mp4")


@dataclass(frozen=True, slots=True)
class _Known:
    type: str
    value: str
    transaction: str
    days_old: float  # since it was first seen, in each of its environments
    environments: tuple[str, ...] = ("staging", "production")
    priority: str = "medium"
    status: Status = "unresolved"


_RECURRING = (
    _Known("ReadTimeout", "OpenAI did not answer within 10 s", "/api/v1/search", 61),
    _Known("KeyError", "'subtitles'", "/api/v1/content", 40),
    _Known("ConnectionResetError", "the client went away", "/media/{media_id}.mp4", 20, priority="high"),
    _Known("AutoReconnect", "connection pool paused", "/api/v1/auth/login", 33, ("production",), priority="low"),
)
_SETTLED = (
    _Known("ValueError", "negative offset", "/media/{media_id}.mp4", 25, ("production",), status="ignored"),
    _Known("UnicodeDecodeError", "invalid start byte", "/api/v1/search", 14, status="resolved"),
)


def seed_sentry(store: SentryStore, releases: dict[str, str]) -> None:
    """Fill the store: 0.2 % of the requests failed, 2 % more were refused. `releases` is by environment."""
    now = datetime.now(UTC)
    for environment, release in releases.items():
        _seed_traffic(store, environment, release, now)
    for known in _SETTLED:
        for environment in known.environments:
            _see(store, known, environment, releases[environment], now - timedelta(days=known.days_old))
            _see(store, known, environment, releases[environment], now - timedelta(days=1.5))
        _settle(store, known)


def _seed_traffic(store: SentryStore, environment: str, release: str, now: datetime) -> None:
    recurring = [known for known in _RECURRING if environment in known.environments]
    for known in recurring:
        _see(store, known, environment, release, now - timedelta(days=known.days_old))
        _settle(store, known)
    per_step, owed_refusals, owed_failures = _PER_STEP[environment], 0.0, 0.0
    at, turn = now - _LENGTH, 0
    while (at := at + _STEP) < now:
        # What is owed carries over, so that the shares come out exactly over a day and no stretch is special.
        owed_refusals += per_step * _REFUSED_SHARE
        owed_failures += per_step * _FAILED_SHARE
        refused, failed = int(owed_refusals), int(owed_failures)
        owed_refusals, owed_failures = owed_refusals - refused, owed_failures - failed
        counts = {"ok": per_step - refused - failed, "unauthenticated": refused, "internal_error": failed}
        for status, count in counts.items():
            if count:
                path = _PATHS[2] if status == "unauthenticated" else _PATHS[turn % len(_PATHS)]
                store.add_span(SentrySpan(at, environment, release, path, status, count=count))
        store.add_span(
            SentrySpan(at, environment, release, _PATHS[0], "ok", is_transaction=False, count=per_step * _SPANS_BELOW)
        )
        for _ in range(failed):
            turn += 1
            _see(store, recurring[turn % len(recurring)], environment, release, at)


def _see(store: SentryStore, known: _Known, environment: str, release: str, at: datetime) -> None:
    event = ErrorEvent(
        id=uuid4().hex,
        at=at,
        environment=environment,
        release=release,
        level="error",
        type=known.type,
        value=known.value,
        transaction=known.transaction,
        handled=False,
        tags=(("browser", random.choice(("Chrome", "Safari", "Firefox"))),),
    )
    store.add_error(event, _fingerprint(known))


def _settle(store: SentryStore, known: _Known) -> None:
    """Give the issue what people have given it since: a priority, a status."""
    issue = next(issue for issue in store.issues.values() if issue.fingerprint == _fingerprint(known))
    issue.priority, issue.status = known.priority, known.status


def _fingerprint(known: _Known) -> str:
    return digest(known.type, known.value, "history")
