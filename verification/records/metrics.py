"""The checklist's "Deployment Metrics": five figures over the deployments of one environment. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median

from verification.records.deployments import Deployment, DeploymentOutcome
from verification.settings.followup import DeploymentLogSettings

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DeploymentMetric:
    """One metric against its target. `value` is None where it cannot be told, and `note` says why.

    `good` is None where there is no value, or where too few deployments stand behind it. `samples` are the
    deployments that it was computed from.
    """

    name: str
    value: float | None
    unit: str
    target: str
    good: bool | None
    samples: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """The figures of a stretch of time, and what the deployments in it came to."""

    name: str
    figures: tuple[DeploymentMetric, ...]
    deployments: int
    states: dict[DeploymentOutcome, int]
    too_few: str  # "2 deployments: too few to tell", or empty


def over_all(deployments: Sequence[Deployment], settings: DeploymentLogSettings, now: datetime) -> Period:
    """From the first deployment until `now`."""
    since = min((deployment.deployed for deployment in deployments), default=now)
    return _period("all", deployments, deployments, since, now, settings)


def by_month(deployments: Sequence[Deployment], settings: DeploymentLogSettings, now: datetime) -> tuple[Period, ...]:
    """Every month (UTC) from the first deployment until `now`, the oldest first; also those without a deployment."""
    if not deployments:
        return ()
    first = min(deployment.deployed for deployment in deployments)
    month, found = _month_of(first), list[Period]()
    while month <= now:
        following = _month_of(month + timedelta(days=32))
        inside = [deployment for deployment in deployments if month <= deployment.deployed < following]
        found.append(_period(f"{month:%Y-%m}", inside, deployments, max(month, first), min(following, now), settings))
        month = following
    return tuple(found)


def recoveries(deployments: Iterable[Deployment], among: Sequence[Deployment]) -> list[float | None]:
    """For each that failed, seconds until the service was well again: by its rollback, or by the next good deployment.

    None for one after which it is not known to be well; `among` are all deployments, the oldest first.
    """
    found: list[float | None] = []
    for deployment in deployments:
        if deployment.state not in {DeploymentOutcome.FAILED, DeploymentOutcome.ROLLED_BACK}:
            continue
        recovery, failed_at = deployment.recovery, deployment.failed_at
        if recovery is None and failed_at:
            later = [next_.verified for next_ in among if next_.deployed > deployment.deployed and next_.verified]
            recovery = (min(later) - failed_at).total_seconds() if later else None
        found.append(recovery)
    return found


def _period(
    name: str,
    deployments: Sequence[Deployment],
    among: Sequence[Deployment],
    since: datetime,
    until: datetime,
    settings: DeploymentLogSettings,
) -> Period:
    count = len(deployments)
    word = "1 deployment" if count == 1 else f"{count} deployments"
    too_few = f"{word}: too few to tell" if count < settings.enough else ""
    figures = (
        _frequency(deployments, until - since, settings),
        _duration(deployments, settings),
        _rollback_rate(deployments, settings),
        _recovery(deployments, among, settings),
        _success_rate(deployments, settings),
    )
    states = {state: sum(deployment.state is state for deployment in deployments) for state in DeploymentOutcome}
    return Period(name, figures, count, states, too_few)


def _frequency(deployments: Sequence[Deployment], span: timedelta, settings: DeploymentLogSettings) -> DeploymentMetric:
    least, most = settings.targets.per_week
    count = len(deployments)
    weeks = max(span, _WEEK) / _WEEK  # less than a week is no rate
    value = round(count / weeks, 1) if count else None
    note = "more often than usual" if value is not None and value > most else ""
    good = _held(value, lambda rate: rate >= least, count, settings)
    return DeploymentMetric("deployment frequency", value, "a week", f"{least:g}-{most:g}", good, count, note)


def _duration(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    durations = (deployment.duration for deployment in deployments)
    known = [seconds / 60 for seconds in durations if seconds is not None and seconds >= 0]
    value, limit = round(median(known), 2) if known else None, settings.targets.duration / 60
    note = "median; from the new revision to the end of its smoke phase" if known else "no smoke phase was logged"
    good = _held(value, lambda minutes: minutes < limit, len(known), settings)
    return DeploymentMetric("deployment duration", value, "min", f"< {limit:g}", good, len(known), note)


def _rollback_rate(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    count, limit = len(deployments), settings.targets.rollback_rate * 100
    rolled_back = sum(deployment.state is DeploymentOutcome.ROLLED_BACK for deployment in deployments)
    value = round(100 * rolled_back / count, 1) if count else None
    note = f"{rolled_back} of {count}" if count else ""
    good = _held(value, lambda percent: percent < limit, count, settings)
    return DeploymentMetric("rollback rate", value, "%", f"< {limit:g}", good, count, note)


def _recovery(
    deployments: Sequence[Deployment], among: Sequence[Deployment], settings: DeploymentLogSettings
) -> DeploymentMetric:
    limit, found = settings.targets.recovery / 60, recoveries(deployments, among)
    known = [seconds / 60 for seconds in found if seconds is not None]
    unknown = len(found) - len(known)
    value = round(fmean(known), 2) if known else None
    note = f"{len(found)} failed" + (f"; for {unknown} no recovery is known" if unknown else "")
    if not found:
        note = "no deployment failed" if deployments else ""
    # One that was never mended is no good recovery, however fast the others were.
    good = _held(value, lambda minutes: minutes < limit and not unknown, len(deployments), settings)
    return DeploymentMetric("mean time to recovery", value, "min", f"< {limit:g}", good, len(known), note)


def _success_rate(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    limit = settings.targets.success_rate * 100
    known = [deployment for deployment in deployments if deployment.state is not DeploymentOutcome.UNCLEAR]
    succeeded = sum(deployment.state is DeploymentOutcome.GOOD for deployment in known)
    unclear = len(deployments) - len(known)
    value = round(100 * succeeded / len(known), 1) if known else None
    note = f"{succeeded} of {len(known)}" if known else "no deployment has a verdict yet" if deployments else ""
    note += f"; {unclear} more without a verdict" if unclear and known else ""
    good = _held(value, lambda percent: percent > limit, len(known), settings)
    return DeploymentMetric("success rate", value, "%", f"> {limit:g}", good, len(known), note)


def _held(
    value: float | None, is_good: Callable[[float], bool], deployments: int, settings: DeploymentLogSettings
) -> bool | None:
    """Whether the value is good; None where there is none, or too few `deployments` stand behind it."""
    return None if value is None or deployments < settings.enough else is_good(value)


def _month_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
