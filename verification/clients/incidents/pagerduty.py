"""PagerDuty: its open incidents by the REST API, and a new one by the Events API v2.

https://developer.pagerduty.com/api-reference, https://developer.pagerduty.com/docs/events-api-v2
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from pydantic import BaseModel

from verification.clients.incidents.open_incidents import OpenIncident
from verification.clients.web_api import System, WebApi, token_of
from verification.errors import ObserverError
from verification.settings.observers import PagerDutyEvent, PagerDutyIncidents

_PAGE = 100
_MOST_PAGES = 50
_OPEN = {"triggered", "acknowledged"}
_LONGEST_SUMMARY = 1024
_LONGEST_KEY = 255


class _Named(BaseModel):
    id: str = ""
    summary: str | None = None
    name: str | None = None


class _PagerDutyIncident(BaseModel):
    id: str
    title: str = ""
    summary: str = ""
    status: str
    urgency: str = ""
    html_url: str | None = None
    service: _Named | None = None
    priority: _Named | None = None

    @property
    def priority_name(self) -> str:
        return (self.priority.name or self.priority.summary or "") if self.priority else ""

    def is_critical(self, settings: PagerDutyIncidents) -> bool:
        if self.status not in _OPEN:
            return False
        if settings.services and (self.service is None or self.service.id not in settings.services):
            return False
        return self.priority_name in settings.priorities if self.priority_name else self.urgency in settings.urgencies


class _IncidentPage(BaseModel):
    incidents: list[_PagerDutyIncident]
    more: bool = False


def pagerduty_incidents(
    settings: PagerDutyIncidents, timeout: float, variables: Mapping[str, str]
) -> list[OpenIncident]:
    """The open incidents that the settings call critical. Raises NotPermitted, ObserverError.

    Filtered on our side: a filter that the server does not know would be ignored without a word.
    """
    system = System("PagerDuty", settings.url, "PAGERDUTY_TOKEN", "read access to incidents", "Token token=")
    headers = {"Accept": "application/vnd.pagerduty+json;version=2"}
    found: list[OpenIncident] = []
    with closing(WebApi(system, token_of(variables, system), timeout, headers)) as api:
        for number in range(_MOST_PAGES):
            asked: dict[str, str | list[str]] = {
                "statuses[]": sorted(_OPEN),
                "include[]": ["priorities"],
                "date_range": "all",  # without it only the last month is told of
                "limit": str(_PAGE),
                "offset": str(number * _PAGE),
            }
            page = api.get("/incidents", asked).read(_IncidentPage)
            found += [_incident(listed, settings) for listed in page.incidents if listed.is_critical(settings)]
            if not page.more:
                return found
    raise ObserverError(
        f"PagerDuty has more than {_MOST_PAGES * _PAGE} open incidents", "Close what is over, or name services."
    )


def _incident(found: _PagerDutyIncident, settings: PagerDutyIncidents) -> OpenIncident:
    severity = found.priority_name or f"urgency {found.urgency}"
    title = found.title or found.summary or found.id
    return OpenIncident(title, severity, found.html_url or settings.url, "PagerDuty")


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
