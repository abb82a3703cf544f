"""PagerDuty's Events API v2: trigger an incident (https://developer.pagerduty.com/docs/events-api-v2)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from verification.clients.web_api import System, WebApi, token_of
from verification.settings.people import PagerDutyEvent

_LONGEST_SUMMARY = 1024
_LONGEST_KEY = 255


def trigger(
    settings: PagerDutyEvent,
    variables: Mapping[str, str],
    timeout: float,
    *,
    key: str,
    summary: str,
    source: str,
    details: Mapping[str, str],
) -> None:
    """Trigger an incident. A second event with the same `key` joins the first: nobody is called twice.

    Raises NotPermitted (no PAGERDUTY_ROUTING_KEY), ObserverError.
    """
    system = System("PagerDuty", settings.url, "PAGERDUTY_ROUTING_KEY", "an integration key of the Events API v2")
    routing_key = token_of(variables, system)
    with closing(WebApi(system, "", timeout)) as api:
        api.post(
            "/v2/enqueue",
            {
                "routing_key": routing_key,
                "event_action": "trigger",
                "dedup_key": key[:_LONGEST_KEY],
                "payload": {
                    "summary": summary[:_LONGEST_SUMMARY],
                    "source": source,
                    "severity": settings.severity,
                    "custom_details": dict(details),
                },
            },
        )
