"""The checklist's "Deployment Metrics": five figures over the deployments of one environment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    since = min((one.deployed for one in deployments), default=now)
    return _period("all", deployments, deployments, since, now, settings)


def by_month(deployments: Sequence[Deployment], settings: DeploymentLogSettings, now: datetime) -> tuple[Period, ...]:
    """Every month (UTC) from the first deployment until `now`, the oldest first; also those without a deployment."""
    if not deployments:
        return ()
    first = min(one.deployed for one in deployments)
    month, found = _month_of(first), list[Period]()
    while month <= now:
        following = _month_of(month + timedelta(days=32))
        inside = [one for one in deployments if month <= one.deployed < following]
        found.append(_period(f"{month:%Y-%m}", inside, deployments, max(month, first), min(following, now), settings))
        month = following
    return tuple(found)


def recoveries(deployments: Iterable[Deployment], among: Sequence[Deployment]) -> list[float | None]:
    """For each that failed, seconds until the service was well again: by its rollback, or by the next good deployment.

    None for one after which it is not known to be well; `among` are all deployments, the oldest first.
    """
    found: list[float | None] = []
    for one in deployments:
        if one.state not in {DeploymentOutcome.FAILED, DeploymentOutcome.ROLLED_BACK}:
            continue
        mended = [next_.verified for next_ in among if next_.deployed > one.deployed and next_.verified]
        moments = [(moment - one.failed_at).total_seconds() for moment in mended if one.failed_at]
        found.append(one.recovery if one.recovery is not None else min(moments, default=None))
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
    states = {state: sum(one.state is state for one in deployments) for state in DeploymentOutcome}
    return Period(name, figures, count, states, too_few)


def _frequency(deployments: Sequence[Deployment], span: timedelta, settings: DeploymentLogSettings) -> DeploymentMetric:
    least, most = settings.targets.per_week
    count = len(deployments)
    weeks = max(span, _WEEK) / _WEEK  # less than a week is no rate
    value = round(count / weeks, 1) if count else None
    note = "more often than usual" if value is not None and value > most else ""
    return _figure("deployment frequency", value, "a week", f"{least:g}-{most:g}", count, settings, note, least=least)


def _duration(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    known = [one.duration / 60 for one in deployments if one.duration is not None and one.duration >= 0]
    value = round(median(known), 2) if known else None
    note = "median; from the new revision to the end of its smoke phase" if known else "no smoke phase was logged"
    limit = settings.targets.duration / 60
    return _figure("deployment duration", value, "min", f"< {limit:g}", len(known), settings, note, below=limit)


def _rollback_rate(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    count, limit = len(deployments), settings.targets.rollback_rate * 100
    rolled = sum(one.state is DeploymentOutcome.ROLLED_BACK for one in deployments)
    value = round(100 * rolled / count, 1) if count else None
    return _figure(
        "rollback rate",
        value,
        "%",
        f"< {limit:g}",
        count,
        settings,
        f"{rolled} of {count}" if count else "",
        below=limit,
    )


def _recovery(
    deployments: Sequence[Deployment], among: Sequence[Deployment], settings: DeploymentLogSettings
) -> DeploymentMetric:
    limit, found = settings.targets.recovery / 60, recoveries(deployments, among)
    known = [one / 60 for one in found if one is not None]
    unknown = len(found) - len(known)
    name, unit, target = "mean time to recovery", "min", f"< {limit:g}"
    if not found:
        return DeploymentMetric(name, None, unit, target, None, 0, "no deployment failed" if deployments else "")
    note = f"{len(found)} failed" + (f"; for {unknown} no recovery is known" if unknown else "")
    value = round(fmean(known), 2) if known else None
    # One that was never mended is no good recovery, however fast the others were.
    good = None if value is None or len(deployments) < settings.enough else value < limit and not unknown
    return DeploymentMetric(name, value, unit, target, good, len(known), note)


def _success_rate(deployments: Sequence[Deployment], settings: DeploymentLogSettings) -> DeploymentMetric:
    limit = settings.targets.success_rate * 100
    known = [one for one in deployments if one.state is not DeploymentOutcome.UNCLEAR]
    good, unclear = sum(one.state is DeploymentOutcome.GOOD for one in known), len(deployments) - len(known)
    value = round(100 * good / len(known), 1) if known else None
    note = f"{good} of {len(known)}" if known else "no deployment has a verdict yet"
    note += f"; {unclear} more without a verdict" if unclear and known else ""
    return _figure(
        "success rate", value, "%", f"> {limit:g}", len(known), settings, note if deployments else "", above=limit
    )


def _figure(
    name: str,
    value: float | None,
    unit: str,
    target: str,
    samples: int,
    settings: DeploymentLogSettings,
    note: str,
    *,
    least: float = float("-inf"),
    above: float = float("-inf"),
    below: float = float("inf"),
) -> DeploymentMetric:
    enough = value is not None and samples >= settings.enough
    good = None if value is None or not enough else least <= value < below and value > above
    return DeploymentMetric(name, value, unit, target, good, samples, note)


def _month_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
