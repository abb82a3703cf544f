"""Sentry's Web API: error counts and new issues of one environment (https://docs.sentry.io/api/).

Nothing found is not yet nothing there: `Sentry.prove` sends an event and looks for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import AwareDatetime, BaseModel, Field

from verification.clients.sentry.canary import CANARY_RELEASE, CANARY_TAG, CANARY_TITLE, Canary, send_canary
from verification.clients.web_api import Parameters, System, WebApi, token_of
from verification.deadline import Deadline, poll
from verification.errors import NotPermitted, ObserverError
from verification.settings.observers import Sentry as SentrySettings
from verification.settings.units import duration_text
from verification.verdict import Measurement, now

NO_CANARY = f"!has:{CANARY_TAG} !release:{CANARY_RELEASE}"
_RETENTION = dt.timedelta(days=90)
_POLL = 1.0


class _Row(BaseModel):
    count: int = Field(alias="count()", ge=0)


class _Meta(BaseModel):
    dataScanned: str | None = None  # noqa: N815  (Sentry's word)


class _Table(BaseModel):
    data: list[_Row]
    meta: _Meta = _Meta()


class _Project(BaseModel):
    id: str
    slug: str
    environments: list[str] | None = None


class _Issue(BaseModel):
    id: str
    title: str
    permalink: str | None = None
    culprit: str | None = None
    count: int = 0
    userCount: int = 0  # noqa: N815
    firstSeen: AwareDatetime  # noqa: N815
    priority: str | None = None
    level: str | None = None
    issueCategory: str = "error"  # noqa: N815


class _TagValue(BaseModel):
    value: str | None = None


class _Tag(BaseModel):
    topValues: list[_TagValue]  # noqa: N815


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, both aware."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def last(cls, seconds: float) -> Window:
        """The `seconds` before now."""
        end = now()
        return cls(end - dt.timedelta(seconds=seconds), end)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()

    @property
    def parameters(self) -> dict[str, str]:
        """As Sentry wants it: UTC, in whole seconds, without an offset. The second that has begun belongs to it."""
        return {"start": _utc(self.start), "end": _utc(self.end + dt.timedelta(seconds=1))}


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors and transactions of one environment within a window, the canary left out.

    Errors are counted one by one; transactions as Sentry extrapolates them from those that were sampled. So the rate
    is a ratio of two counts, may exceed 100 %, and is unknown where there are no transactions.
    """

    environment: str
    window: Window
    errors: int
    transactions: int
    partial: bool  # Sentry looked at a part of its data only

    @property
    def source(self) -> str:
        """Where it comes from."""
        return f"Sentry, environment {self.environment}"

    @property
    def error_count(self) -> Measurement:
        """How many errors there were."""
        return Measurement("errors", self.errors, source=self.source, window_s=self.window.seconds)

    @property
    def transaction_count(self) -> Measurement:
        """How many transactions there were, as Sentry extrapolates it."""
        note = "extrapolated by Sentry from those that were sampled"
        return Measurement(
            "transactions", self.transactions, source=self.source, window_s=self.window.seconds, note=note
        )

    @property
    def rate(self) -> Measurement:
        """Errors for each transaction, as a share of one; a problem where there is no denominator."""
        return Measurement(
            "error rate",
            self.errors / self.transactions if self.transactions else None,
            source=self.source,
            samples=self.transactions,
            window_s=self.window.seconds,
            note=f"{self.errors} errors, {self.transactions} transactions (extrapolated from those that were sampled)"
            + ("; Sentry looked at a part of its data only" if self.partial else ""),
            problem=None if self.transactions else self._unknown(),
        )

    def _unknown(self) -> ObserverError:
        return ObserverError(
            f"Sentry has {self.errors} errors and no transaction of environment {self.environment} in "
            f"{duration_text(round(self.window.seconds))}, so there is no rate",
            "Let the service send transactions (traces_sample_rate), and see that its environment bears this name.",
        )


@dataclass(frozen=True, slots=True)
class Issue:
    """A type of error. `count` and `users` are those of the window that was asked about."""

    id: str
    title: str
    link: str
    count: int
    users: int
    first_seen: dt.datetime
    priority: str
    level: str

    def __str__(self) -> str:
        first = f"{self.first_seen.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        return f"{self.title} ({self.count} times, {self.users} users, first {first}, {self.link})"


class Sentry:
    """One project of an organization. Every method raises ObserverError where Sentry cannot tell, or may not."""

    def __init__(self, settings: SentrySettings, token: str) -> None:
        system = _system(settings)
        self._settings = settings
        self._api = WebApi(system, token, settings.timeout)
        self._organization = f"/organizations/{settings.organization}"

    @classmethod
    def of(cls, settings: SentrySettings, variables: Mapping[str, str]) -> Sentry:
        """Raises NotPermitted without SENTRY_AUTH_TOKEN."""
        return cls(settings, token_of(variables, _system(settings)))

    def close(self) -> None:
        """End all connections."""
        self._api.close()

    def error_rate(self, environment: str, window: Window) -> ErrorRate:
        """Errors and transactions of `environment` in `window`."""
        errors, partial_errors = self._count("errors", NO_CANARY, environment, window)
        transactions, partial_spans = self._count("spans", "is_transaction:true", environment, window)
        return ErrorRate(environment, window, errors, transactions, partial=partial_errors or partial_spans)

    def errors_anywhere(self, window: Window) -> int:
        """How many errors of any environment Sentry finds in `window`, the canary left out."""
        return self._count("errors", NO_CANARY, "", window)[0]

    def new_issues(self, environment: str, window: Window) -> tuple[Issue, ...]:
        """The types of errors first seen in `environment` within `window`, the oldest first; archived ones as well."""
        found = self._issues(environment, window, f"firstSeen:>={_utc(window.start)}")
        # Once more on our side: a server that does not know a word of the query ignores it.
        # Sentry's clock may be ahead of ours: what it saw "after" the window is new all the more.
        new = [issue for issue in found if window.start <= issue.first_seen]
        return tuple(sorted(new, key=lambda issue: issue.first_seen))

    def finds_issues(self, environment: str) -> bool:
        """Whether this search finds anything of `environment` at all: then it was understood."""
        long = Window(now() - _RETENTION + dt.timedelta(hours=1), now())
        return bool(self._issues(environment, long, f"firstSeen:>={_utc(long.start)}"))

    def environments_of(self, issue: Issue) -> frozenset[str]:
        """The environments in which `issue` was seen, as far as Sentry lists them (the most frequent ones)."""
        reply = self._api.get(f"{self._organization}/issues/{issue.id}/tags/environment/")
        return frozenset(seen.value for seen in reply.read(_Tag).topValues if seen.value)

    def must_know(self, environment: str) -> None:
        """Raise ObserverError when no event of `environment` ever came: a slip in its name would look like quiet."""
        known = self._project.environments
        if known is not None and environment not in known:
            raise ObserverError(
                f"Sentry's project {self._settings.project} knows no environment {environment}; "
                f"it knows: {', '.join(sorted(known)) or 'none'}",
                "Mend the name in [sentry] of deployment.toml, or the environment that the service gives sentry-sdk.",
            )

    def prove(self, environment: str, dsn: str) -> Canary:
        """Send a canary event for `environment` and see that both searches find it, within `canary_within`.

        Raises ObserverError when it does not turn up: then finding nothing means nothing.
        """
        self.must_know(environment)
        within = self._settings.canary_within
        deadline = Deadline.after(within)
        canary = send_canary(dsn, environment, min(within, self._settings.timeout))
        missing = ["events", "issues"]

        def found() -> bool:
            window = Window(canary.sent - dt.timedelta(minutes=10), now() + dt.timedelta(minutes=10))
            query = f"{CANARY_TAG}:{canary.mark}"
            if "events" in missing and self._count("errors", query, environment, window)[0]:
                missing.remove("events")
            if "issues" in missing and self._issues(environment, window, query, canaries=True):
                missing.remove("issues")
            return not missing

        if not poll(found, deadline, _POLL):
            raise ObserverError(
                f"a canary event was sent to Sentry, and its search among {' and '.join(missing)} did not find it "
                f"within {duration_text(within)}: finding no error means nothing",
                "Does SENTRY_DSN belong to sentry.project, and can its host be reached from here? Is Sentry late "
                "(its status page), or the quota used up?",
            )
        return canary

    @cached_property
    def _project(self) -> _Project:
        """Events are asked for by the project's number; people know its slug."""
        known: list[str] = []
        for page in self._api.pages(f"{self._organization}/projects/", {}):
            for project in page.read(list[_Project]):
                if self._settings.project in {project.slug, project.id}:
                    return project
                known.append(project.slug)
        raise ObserverError(
            f"Sentry's organization {self._settings.organization} has no project {self._settings.project} that this "
            f"token may see; it has: {', '.join(known[:10]) or 'none'}",
            "Mend sentry.project in deployment.toml (its slug), or give the token access to it.",
        )

    def _count(self, dataset: str, query: str, environment: str, window: Window) -> tuple[int, bool]:
        """The count, and whether Sentry looked at a part of its data only."""
        parameters = {"dataset": dataset, "field": "count()", "query": query, **self._within(environment, window)}
        reply = self._api.get(f"{self._organization}/events/", parameters)
        table = reply.read(_Table)
        # A count without groups has one row; some servers answer with none when they find nothing.
        if len(table.data) > 1:
            raise ObserverError(f"{reply.question}: {len(table.data)} rows where one was asked for")
        return sum(row.count for row in table.data), table.meta.dataScanned == "partial"

    def _issues(self, environment: str, window: Window, query: str, *, canaries: bool = False) -> list[Issue]:
        parameters = {"query": query, "sort": "new", "limit": "100", **self._within(environment, window)}
        return [
            _issue(issue)
            for page in self._api.pages(f"{self._organization}/issues/", parameters)
            for issue in page.read(list[_Issue])
            if issue.issueCategory == "error" and (CANARY_TITLE in issue.title) == canaries
        ]

    def _within(self, environment: str, window: Window) -> Parameters:
        place = {"environment": environment} if environment else {}
        return {"project": self._project.id, **place, **window.parameters}


def _system(settings: SentrySettings) -> System:
    scopes = "the scopes event:read and org:read"
    return System("Sentry", f"{settings.url}/api/0", "SENTRY_AUTH_TOKEN", scopes)


def dsn_of(variables: Mapping[str, str]) -> str:
    """The DSN that a canary is sent to. Raises NotPermitted when there is none."""
    dsn = variables.get("SENTRY_DSN", "").strip()
    if not dsn:
        raise NotPermitted(
            "Sentry found nothing, and without a canary event that is no proof that there is nothing",
            "Set SENTRY_DSN to the DSN of the service's project, so that a canary can be sent.",
        )
    return dsn


def _issue(one: _Issue) -> Issue:
    return Issue(
        id=one.id,
        title=one.title,
        link=one.permalink or f"issue {one.id}",
        count=one.count,
        users=one.userCount,
        first_seen=one.firstSeen,
        priority=one.priority or "",
        level=one.level or "",
    )


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
