"""The deployment window: may production be deployed now, and if not, when next?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args
from zoneinfo import ZoneInfo

from verification.errors import ServiceError
from verification.probe import probe
from verification.probes.health import given
from verification.settings.model import DeploymentWindow, Settings, Weekday
from verification.verdict import Measurement

Clock = Callable[[], dt.datetime]

_DAYS_AHEAD = 400
_DAYS = get_args(Weekday)  # a locale would name them otherwise


@dataclass(frozen=True, slots=True)
class Opening:
    """From when to when, as instants in the window's time zone."""

    opens: dt.datetime
    closes: dt.datetime

    def holds(self, moment: dt.datetime) -> bool:
        """Whether `moment` lies in it; the end does not."""
        # Within one zone Python compares what clocks show, which is wrong when they are set back.
        return self.opens.astimezone(dt.UTC) <= moment.astimezone(dt.UTC) < self.closes.astimezone(dt.UTC)


def openings(window: DeploymentWindow, now: dt.datetime) -> Iterator[Opening]:
    """The openings that end after `now` and begin within the next 400 days, the earliest first.

    A window that closes earlier than it opens crosses midnight, and belongs to the day on which it opens. A frozen day
    has no opening, and what crosses into one ends at its midnight.
    """
    zone = ZoneInfo(window.timezone)
    today = now.astimezone(zone).date()
    for ahead in range(-1, _DAYS_AHEAD):
        day = today + dt.timedelta(days=ahead)
        if _DAYS[day.weekday()] not in window.days or day in window.freeze:
            continue
        opens = dt.datetime.combine(day, window.opens, zone)
        end_day, end = day, window.closes
        if window.closes <= window.opens:
            end_day += dt.timedelta(days=1)
            end = dt.time(0) if end_day in window.freeze else end
        closes = dt.datetime.combine(end_day, end, zone)
        if closes.astimezone(dt.UTC) > now.astimezone(dt.UTC):
            yield Opening(opens, closes)


def window_state(window: DeploymentWindow, now: dt.datetime) -> Measurement:
    """Whether the window is open at `now` (aware), with its end or its next opening."""
    local = now.astimezone(ZoneInfo(window.timezone))
    source = f"[window] of deployment.toml, {window.timezone}"
    nearest = next(openings(window, now), None)
    if nearest is not None and nearest.holds(now):
        note = f"until {_shown(nearest.closes)}; it is {_shown(local)}"
        return Measurement("deployment window", "open", source=source, observed_at=now, note=note)
    following = f"The next opening is {_shown(nearest.opens)}" if nearest else "No opening follows within a year"
    frozen = ", a freeze date" if local.date() in window.freeze else ""
    problem = ServiceError(
        f"the deployment window is closed: it is {_shown(local)}{frozen}. {following}.",
        "Wait for it. What cannot wait because users suffer is a hotfix: --profile hotfix.",
    )
    return Measurement("deployment window", "closed", source=source, observed_at=now, note=following, problem=problem)


@probe
def deployment_window(settings: Settings, clock: Clock) -> Measurement:
    """Whether production may be deployed now."""
    return window_state(given(settings.window, "window"), clock())


def _shown(moment: dt.datetime) -> str:
    return f"{_DAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M %Z}"
