"""Systems that watch the service: Sentry, and the logs of its containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from verification.clients.google.cloud_logging import CloudLogging, LogEntry
from verification.clients.sentry.answers import Issue, Window
from verification.clients.sentry.client import Sentry, dsn_of
from verification.errors import NotAsked
from verification.settings.observers import SentrySettings
from verification.watch.criteria.forbidden_events import (
    CRITICAL_ERRORS,
    DATABASE_ERRORS,
    NEW_ERRORS,
    RESTARTS,
)
from verification.watch.criteria.sentry_rate import SENTRY_RATE, SentryErrorRate
from verification.watch.samples import Sample

_DATABASE = re.compile(
    r"ServerSelectionTimeout|AutoReconnect|NotPrimaryError|NetworkTimeout|ConnectionFailure|WaitQueueTimeout"
    r"|(?:mongo|database)\w*[^\n]{0,80}(?:connection (?:refused|reset|closed|timed out|error)|unreachable)",
    re.IGNORECASE,
)
_KILLED = re.compile(r"Memory limit of|out of memory|OOMKilled|Container terminated on signal 9", re.IGNORECASE)


class SentrySource:
    """Sentry's errors in production since `since` (when the revision was created), and what of them is new.

    What staging saw as well is not new. That finding nothing means something is proven once, by a canary if need be.
    """

    streams = (SENTRY_RATE, NEW_ERRORS, CRITICAL_ERRORS)

    def __init__(
        self,
        sentry: Sentry,
        settings: SentrySettings,
        since: datetime,
        *,
        every: float,
        variables: Mapping[str, str],
        dry_run: bool,
    ) -> None:
        self.every = every
        self._sentry, self._settings, self._since = sentry, settings, since
        self._variables, self._dry_run = variables, dry_run
        self._proven = False
        self._elsewhere: dict[str, bool] = {}  # by issue: whether staging saw it

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """See Source."""
        production = self._settings.production
        window = Window(self._since, at)
        errors = self._sentry.error_rate(production, window)
        new = [one for one in self._sentry.new_issues(production, window) if not self._seen_on_staging(one)]
        self._prove(production, window, found=bool(errors.errors and new))
        found = [Sample(NEW_ERRORS, at, float(max(one.count, one.users, 1)), one.id, str(one)) for one in new]
        found += [Sample(CRITICAL_ERRORS, at, 1.0, one.id, str(one)) for one in new if self._is_critical(one)]
        looked = [Sample(stream, at) for stream in (NEW_ERRORS, CRITICAL_ERRORS)]
        return [SentryErrorRate.counted(at, errors.errors, errors.transactions, errors.source), *found, *looked]

    def close(self) -> None:
        """See Source."""
        self._sentry.close()

    def _seen_on_staging(self, issue: Issue) -> bool:
        if issue.id not in self._elsewhere:
            self._elsewhere[issue.id] = self._settings.staging in self._sentry.environments_of(issue)
        return self._elsewhere[issue.id]

    def _is_critical(self, issue: Issue) -> bool:
        return issue.priority in self._settings.critical_priorities or issue.level in self._settings.critical_levels

    def _prove(self, production: str, window: Window, *, found: bool) -> None:
        if self._proven or found:
            return
        self._sentry.must_know(production)
        if not (self._sentry.errors_anywhere(window) and self._sentry.finds_issues(production)):
            if self._dry_run:
                raise NotAsked(
                    "Sentry finds nothing, and a dry run sends no canary that would prove it right",
                    "Run without --dry-run.",
                )
            self._sentry.prove(production, dsn_of(self._variables))
        self._proven = True


class TroubleSource:
    """What the containers of `revision` and Cloud Run itself complain of, from `start` on, each line once."""

    streams = (DATABASE_ERRORS, RESTARTS)

    def __init__(self, logging: CloudLogging, revision: str, start: datetime, *, every: float, delay: float) -> None:
        self.every = every
        self._logging, self._revision = logging, revision
        self._from = start
        # Read again for a while: a line may be visible late, and each has a name of its own.
        self._overlap = timedelta(seconds=max(4 * delay, 2 * every))
        self._start = start
        self._known: dict[str, datetime] = {}  # lines that were told, by id, for as long as they can be met again

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """See Source."""
        lines = [one for one in self._logging.troubles(self._from, at) if one.insert_id not in self._known]
        self._from = max(self._start, at - self._overlap)
        self._known = {name: seen for name, seen in self._known.items() if seen >= self._from}
        self._known.update((one.insert_id, one.at) for one in lines)
        found = [one for one in lines if one.revision in {self._revision, ""}]
        samples = [_told(DATABASE_ERRORS, one) for one in found if _DATABASE.search(one.text)]
        samples += [_told(RESTARTS, one) for one in found if _KILLED.search(one.text)]
        return [*samples, *(Sample(stream, at) for stream in self.streams)]

    def close(self) -> None:
        """See Source. The client belongs to the run."""


def _told(stream: str, entry: LogEntry) -> Sample:
    return Sample(stream, entry.at, 1.0, entry.insert_id, entry.text[:200])
