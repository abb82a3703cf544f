"""Systems that watch the service: Sentry, and the logs of its containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from verification.clients.google.cloud_logging import CloudLogging, LogEntry
from verification.clients.lazy_imports import Lazy
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
from verification.watch.sources.source import Source

_LOOKED_BACK = timedelta(days=1)
_MARGIN = timedelta(seconds=2)  # Sentry is asked in whole seconds, and the second that has begun belongs to the window
_DATABASE = re.compile(
    r"ServerSelectionTimeout|AutoReconnect|NotPrimaryError|NetworkTimeout|ConnectionFailure|WaitQueueTimeout"
    r"|(?:mongo|database)\w*[^\n]{0,80}(?:connection (?:refused|reset|closed|timed out|error)|unreachable)",
    re.IGNORECASE,
)
_KILLED = re.compile(r"Memory limit of|out of memory|OOMKilled|Container terminated on signal 9", re.IGNORECASE)


class SentrySource(Source):
    """Sentry's errors in production since `since` (when the revision was created), and what of them is new.

    What only releases did that were there before it is not its own, where most that is served names a newer one.
    What staging saw as well is not new. That finding nothing means something is proven once, by a canary if need be.
    """

    streams = (SENTRY_RATE, NEW_ERRORS, CRITICAL_ERRORS)

    def __init__(
        self,
        settings: SentrySettings,
        variables: Mapping[str, str],
        since: datetime,
        *,
        every: float,
        dry_run: bool,
    ) -> None:
        self.every = every
        self._sentry = Lazy(lambda: Sentry(settings, variables))
        self._settings, self._variables, self._since, self._dry_run = settings, variables, since, dry_run
        self._proven = False
        self._before: frozenset[str] | None = None  # the releases that were there before, once they are known
        self._elsewhere: dict[str, bool] = {}  # by issue: whether staging saw it

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """The counts so far, each new issue, each critical one, and that it looked. Raises ObserverError."""
        sentry, production = self._sentry.value, self._settings.production
        window = Window(self._since, at)
        counts = sentry.by_release(production, window)
        errors = counts.of(None)
        own = counts.own(self._releases_before(sentry))
        new = [
            issue
            for issue in sentry.new_issues(production, window)
            if not self._seen_on_staging(issue) and not self._is_of_others(issue, own)
        ]
        if not self._proven and not (errors.errors and new):
            sentry.must_know(production)
            proof_that_it_finds(
                sentry,
                production,
                window,
                errors=errors.errors > 0,
                issues=bool(new),
                variables=self._variables,
                dry_run=self._dry_run,
            )
            self._proven = True
        found = [Sample(NEW_ERRORS, at, float(max(issue.count, issue.users, 1)), issue.id, str(issue)) for issue in new]
        found += [Sample(CRITICAL_ERRORS, at, 1.0, issue.id, str(issue)) for issue in new if self._is_critical(issue)]
        looked = [Sample(stream, at) for stream in (NEW_ERRORS, CRITICAL_ERRORS)]
        ours = counts.of(own)
        source = f"{ours.source}, {_named(own)}" if own else ours.source
        return [SentryErrorRate.counted(at, ours.errors, ours.transactions, source), *found, *looked]

    def close(self) -> None:
        """Close the connection to Sentry."""
        self._sentry.close(Sentry.close)

    def _releases_before(self, sentry: Sentry) -> frozenset[str]:
        if self._before is None:
            end = self._since - _MARGIN
            self._before = sentry.by_release(self._settings.production, Window(end - _LOOKED_BACK, end)).releases
        return self._before

    def _is_of_others(self, issue: Issue, own: frozenset[str] | None) -> bool:
        """Whether the issue was seen in releases that are not the watched revision's, and only there."""
        if own is None:
            return False
        seen = self._sentry.value.releases_of(issue, self._settings.production)
        return bool(seen) and not seen & own

    def _seen_on_staging(self, issue: Issue) -> bool:
        if issue.id not in self._elsewhere:
            self._elsewhere[issue.id] = self._settings.staging in self._sentry.value.environments_of(issue)
        return self._elsewhere[issue.id]

    def _is_critical(self, issue: Issue) -> bool:
        return issue.priority in self._settings.critical_priorities or issue.level in self._settings.critical_levels


def _named(releases: Iterable[str]) -> str:
    return "release " + " and ".join(sorted(name or "without a name" for name in releases))


def proof_that_it_finds(
    sentry: Sentry,
    environment: str,
    window: Window,
    *,
    errors: bool,
    issues: bool,
    variables: Mapping[str, str],
    dry_run: bool,
) -> str:
    """Why Sentry's finding nothing may be believed: it found `errors` and `issues`, or others, or a canary now.

    What it finds by the same questions proves as much as a canary, and writes nothing. Raises NotAsked where a dry run
    would have to send a canary, ObserverError where Sentry does not find it.
    """
    if (errors or sentry.errors_anywhere(window) > 0) and (issues or sentry.finds_issues(environment)):
        return "its searches find other events"
    if dry_run:
        raise NotAsked(
            f"Sentry finds nothing of {environment}, and a dry run sends no canary that would prove it right",
            "Run without --dry-run.",
        )
    return f"its searches found the canary {sentry.prove(environment, dsn_of(variables)).mark}"


class TroubleSource(Source):
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
        """The lines that were not told before, and that it looked."""
        lines = [line for line in self._logging.troubles(self._from, at) if line.insert_id not in self._known]
        self._from = max(self._start, at - self._overlap)
        self._known = {name: seen for name, seen in self._known.items() if seen >= self._from}
        self._known.update((line.insert_id, line.at) for line in lines)
        found = [line for line in lines if line.revision in {self._revision, ""}]
        samples = [_told(DATABASE_ERRORS, line) for line in found if _DATABASE.search(line.text)]
        samples += [_told(RESTARTS, line) for line in found if _KILLED.search(line.text)]
        return [*samples, *(Sample(stream, at) for stream in self.streams)]


def _told(stream: str, entry: LogEntry) -> Sample:
    return Sample(stream, entry.at, 1.0, entry.insert_id, entry.text[:200])
