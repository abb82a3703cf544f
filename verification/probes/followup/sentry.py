"""Probes of Sentry a day after a deployment: whether errors grew, and whether new ones came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import sqrt

from verification.clients.sentry.answers import ErrorRate, Window
from verification.clients.sentry.client import Sentry
from verification.errors import NotAsked
from verification.probe import probe
from verification.probes.health import given
from verification.probes.sentry import SentryReview, review
from verification.records.deployments import FollowedDeployment
from verification.settings.model import Settings
from verification.verdict import Measurement

_DAY = timedelta(days=1)
_CHANCE = 3.0  # standard deviations


@dataclass(frozen=True, slots=True)
class ErrorTrend:
    """The errors of a day, and of the day before it. `growth` is the share by which they may grow, beyond chance."""

    day: ErrorRate
    before: ErrorRate
    growth: float
    proof: str

    @property
    def rate(self) -> Measurement:
        """Errors for each transaction on the day, in percent."""
        return self._percent("error rate", self.day)

    @property
    def most(self) -> float | None:
        """The rate, in percent, that the day before allows for; None where that day has none."""
        known = self.before.rate.value
        if not isinstance(known, float) or not self.day.transactions:
            return None
        return 100 * (known * (1 + self.growth) + _CHANCE * sqrt(known / self.day.transactions))

    def must_be_flat(self, limit: float) -> None:
        """Hold the day's rate below `limit` (a share), and near that of the day before."""
        __tracebackhide__ = True
        self.rate.must_be_below(limit * 100)
        before = self._percent("error rate, the day before", self.before)
        most = self.most
        before.must_be_at_least(0)
        grown = replace(self.rate, name="error rate against the day before", note=f"then {before.value} %")
        # A day without any error allows for none to the left of what chance explains: any single one would do.
        grown.must_be_below(max(most or 0.0, 100 / max(self.day.transactions, 1)) + 1e-9)

    def _percent(self, name: str, errors: ErrorRate) -> Measurement:
        rate = errors.rate
        percent = round(100 * rate.value, 4) if isinstance(rate.value, float) else None
        return replace(
            rate,
            name=name,
            value=percent,
            unit="%",
            observed_at=errors.window.end,
            note=f"{rate.note}; {self.proof}",
        )


@probe
def error_trend(
    settings: Settings,
    followed_deployment: FollowedDeployment,
    variables: dict[str, str],
    dry_run: bool,
    clock: Callable[[], datetime],
) -> ErrorTrend:
    """The day after the deployment, or the last one so far. Raises NotAsked before it is time, ObserverError."""
    due = followed_deployment.deployment.deployed + timedelta(seconds=settings.followup.trend_after)
    if clock() < due:
        raise NotAsked(
            f"a day of the release is over at {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            f"Ask again then: `pytest -m followup --env {settings.environment}`",
        )
    end = min(clock(), max(due, followed_deployment.deployment.deployed + _DAY))
    sentry = given(settings.sentry, "sentry")
    day = review(sentry, settings.main_role, Window(end - _DAY, end), variables, dry_run)
    with closing(Sentry(sentry, variables)) as client:
        before = client.error_rate(sentry.environment(settings.main_role), Window(end - 2 * _DAY, end - _DAY))
    return ErrorTrend(day.errors, before, settings.followup.trend_growth, day.proof)


@probe
def new_error_patterns(
    settings: Settings,
    followed_deployment: FollowedDeployment,
    variables: Mapping[str, str],
    dry_run: bool,
    clock: Callable[[], datetime],
) -> SentryReview:
    """The types of errors first seen since the deployment (or its rollback) was through. Raises ObserverError."""
    deployment = followed_deployment.deployment
    since = deployment.deployed if followed_deployment.serves == deployment.revision else followed_deployment.through
    # A day at least, so that what Sentry finds in it proves that it would find more.
    window = Window(min(since, clock() - _DAY), clock())
    found = review(given(settings.sentry, "sentry"), settings.main_role, window, variables, dry_run)
    new = tuple(issue for issue in found.new if issue.first_seen >= since)
    return replace(found, new=new, proof=f"since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC; {found.proof}")
