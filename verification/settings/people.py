"""`[people]`: who is called after a rollback, and when one was due that did not happen.

`slack.incidents` is told wherever `[slack]` is configured. The key of PagerDuty's integration never stands here; it
comes from PAGERDUTY_ROUTING_KEY.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from verification.settings.observers import PrivateAddress
from verification.settings.tables import Table, Text
from verification.settings.units import Seconds


class IncidentTicket(Table):
    """`[people.github]`: an issue in `github.repository`, with `labels`."""

    labels: list[Text] = ["incident", "P1"]


class PagerDutyEvent(Table):
    """`[people.pagerduty]`: an event that triggers an incident at PagerDuty (Events API v2)."""

    url: PrivateAddress = "https://events.pagerduty.com"
    severity: Literal["critical", "error", "warning", "info"] = "critical"


class People(Table):
    """`[people]`. `timeout` bounds each call: what does not get through is queued, and sent by a later run."""

    timeout: Seconds = Field(default=15, gt=0, le=300)
    github: IncidentTicket | None = None
    pagerduty: PagerDutyEvent | None = None
