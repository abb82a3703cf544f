"""Sentry's Web API: error counts and new issues of one environment (https://docs.sentry.io/api/).

Nothing found is not yet nothing there: `Sentry.prove` sends an event and looks for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import quote

from pydantic import AliasPath, BaseModel, Field

from verification.clients.sentry.answers import CountsByRelease, ErrorRate, Issue, Window, utc_text
from verification.clients.sentry.canary import CANARY_RELEASE, CANARY_TAG, CANARY_TITLE, Canary, send_canary
from verification.clients.web_api import Parameters, System, WebApi, token_of
from verification.deadline import Deadline, now, poll
from verification.errors import NotPermitted, ObserverError
from verification.settings.observers import SentrySettings
from verification.settings.units import duration_text

_TRANSACTIONS = "is_transaction:true"
NO_CANARY = f"!has:{CANARY_TAG} !release:{CANARY_RELEASE}"
_RETENTION = dt.timedelta(days=90)
_POLL = 1.0
_MOST_ROWS = 100


class _Row(BaseModel):
    release: str | None = None
    count: int = Field(alias="count()", ge=0)


class _Table(BaseModel):
    data: list[_Row]
    scanned: str | None = Field(None, validation_alias=AliasPath("meta", "dataScanned"))


class _Project(BaseModel):
    id: str
    slug: str
    environments: list[str] | None = None


class _TagValue(BaseModel):
    value: str | None = None


class _Tag(BaseModel):
    top_values: list[_TagValue] = Field(alias="topValues")


class _Deploy(BaseModel):
    environment: str
    name: str | None = None


class Sentry:
    """Client of Sentry's Web API for one project. Each method raises ObserverError, NotPermitted."""

    def __init__(
        self, settings: SentrySettings, variables: Mapping[str, str], scopes: str = "event:read and org:read"
    ) -> None:
        """`scopes`: what the token must have, in words. Raises NotPermitted without SENTRY_AUTH_TOKEN."""
        system = System("Sentry", f"{settings.url}/api/0", "SENTRY_AUTH_TOKEN", f"the scopes {scopes}")
        self._settings = settings
        self._api = WebApi(system, token_of(variables, system), settings.timeout)
        self._organization = f"/organizations/{settings.organization}"

    def close(self) -> None:
        """End all connections."""
        self._api.close()

    def error_rate(self, environment: str, window: Window) -> ErrorRate:
        """Errors and transactions of `environment` in `window`."""
        errors, partial_errors = self._count("errors", NO_CANARY, environment, window)
        transactions, partial_spans = self._count("spans", _TRANSACTIONS, environment, window)
        return ErrorRate(environment, window, errors, transactions, partial=partial_errors or partial_spans)

    def by_release(self, environment: str, window: Window) -> CountsByRelease:
        """Errors and transactions of `environment` in `window`, for each release that they name."""
        errors, partial_errors = self._rows("errors", NO_CANARY, environment, window, "release")
        transactions, partial_spans = self._rows("spans", _TRANSACTIONS, environment, window, "release")
        return CountsByRelease(
            environment,
            window,
            {row.release or "": row.count for row in errors},
            {row.release or "": row.count for row in transactions},
            partial=partial_errors or partial_spans or max(len(errors), len(transactions)) >= _MOST_ROWS,
        )

    def errors_anywhere(self, window: Window) -> int:
        """How many errors of any environment Sentry finds in `window`, the canary left out."""
        return self._count("errors", NO_CANARY, "", window)[0]

    def new_issues(self, environment: str, window: Window) -> tuple[Issue, ...]:
        """The types of errors first seen in `environment` within `window`, the oldest first; archived ones as well."""
        found = self._issues(environment, window, f"firstSeen:>={utc_text(window.start)}")
        # Once more on our side: a server that does not know a word of the query ignores it.
        # Sentry's clock may be ahead of ours: what it saw "after" the window is new all the more.
        new = [issue for issue in found if window.start <= issue.first_seen]
        return tuple(sorted(new, key=lambda issue: issue.first_seen))

    def finds_issues(self, environment: str) -> bool:
        """Whether this search finds anything of `environment` at all: then it was understood."""
        long = Window(now() - _RETENTION + dt.timedelta(hours=1), now())
        return bool(self._issues(environment, long, f"firstSeen:>={utc_text(long.start)}"))

    def environments_of(self, issue: Issue) -> frozenset[str]:
        """The environments in which `issue` was seen, as far as Sentry lists them (the most frequent ones)."""
        return self._values_of(issue, "environment", {})

    def releases_of(self, issue: Issue, environment: str) -> frozenset[str]:
        """The releases in which `issue` was seen in `environment`, as far as Sentry lists them."""
        return self._values_of(issue, "release", {"environment": environment})

    def must_know(self, environment: str) -> None:
        """Raise ObserverError for an environment without any event ever: a slip in its name would look like quiet."""
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

    def record_deploy(
        self, version: str, environment: str, name: str, started: dt.datetime, finished: dt.datetime
    ) -> bool:
        """Record that the release `version` was deployed as `name`; False where that is recorded already.

        The token needs the scope project:releases.
        """
        releases = f"{self._organization}/releases/"
        deploys = f"{releases}{quote(version, safe='')}/deploys/"
        # Creating one that is there changes nothing: Sentry answers 208. Its deploys are not told apart so.
        self._api.post(releases, {"version": version, "projects": [self._settings.project]})
        known = self._api.items(deploys, {}, _Deploy)
        if any((deploy.environment, deploy.name) == (environment, name) for deploy in known):
            return False
        times = {"dateStarted": f"{utc_text(started)}Z", "dateFinished": f"{utc_text(finished)}Z"}
        self._api.post(deploys, {"environment": environment, "name": name, **times})
        return True

    @cached_property
    def _project(self) -> _Project:
        """The project, by its slug or number: searches take the number alone."""
        known: list[str] = []
        for project in self._api.items(f"{self._organization}/projects/", {}, _Project):
            if self._settings.project in {project.slug, project.id}:
                return project
            known.append(project.slug)
        raise ObserverError(
            f"Sentry's organization {self._settings.organization} has no project {self._settings.project} that this "
            f"token may see; it has: {', '.join(known[:10]) or 'none'}",
            "Mend sentry.project in deployment.toml (its slug), or give the token access to it.",
        )

    def _values_of(self, issue: Issue, tag: str, parameters: Parameters) -> frozenset[str]:
        reply = self._api.get(f"{self._organization}/issues/{issue.id}/tags/{tag}/", parameters)
        return frozenset(seen.value for seen in reply.read(_Tag).top_values if seen.value)

    def _count(self, dataset: str, query: str, environment: str, window: Window) -> tuple[int, bool]:
        """The count, and whether Sentry looked at a part of its data only."""
        rows, partial = self._rows(dataset, query, environment, window)
        # A count without groups has one row; some servers answer with none when they find nothing.
        if len(rows) > 1:
            raise ObserverError(f"Sentry: {len(rows)} rows of {dataset} where one was asked for")
        return sum(row.count for row in rows), partial

    def _rows(
        self, dataset: str, query: str, environment: str, window: Window, *groups: str
    ) -> tuple[list[_Row], bool]:
        """Counts by `groups`, the largest first, and whether Sentry looked at a part of its data only."""
        fields = [*groups, "count()"]
        sorting = {"sort": "-count()", "per_page": str(_MOST_ROWS)} if groups else {}
        parameters = {"dataset": dataset, "field": fields, "query": query, **sorting}
        reply = self._api.get(f"{self._organization}/events/", {**parameters, **self._within(environment, window)})
        table = reply.read(_Table)
        return table.data, table.scanned == "partial"

    def _issues(self, environment: str, window: Window, query: str, *, canaries: bool = False) -> list[Issue]:
        parameters = {"query": query, "sort": "new", "limit": "100", **self._within(environment, window)}
        return [
            issue
            for issue in self._api.items(f"{self._organization}/issues/", parameters, Issue)
            if issue.category == "error" and (CANARY_TITLE in issue.title) == canaries
        ]

    def _within(self, environment: str, window: Window) -> Parameters:
        place = {"environment": environment} if environment else {}
        return {"project": self._project.id, **place, **window.parameters}


def dsn_of(variables: Mapping[str, str]) -> str:
    """The DSN that a canary is sent to. Raises NotPermitted when there is none."""
    dsn = variables.get("SENTRY_DSN", "").strip()
    if not dsn:
        raise NotPermitted(
            "Sentry found nothing, and without a canary event that is no proof that there is nothing",
            "Set SENTRY_DSN to the DSN of the service's project, so that a canary can be sent.",
        )
    return dsn
