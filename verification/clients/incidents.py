"""Open incidents at GitHub, PagerDuty and Statuspage, and a new one at PagerDuty, for people to be called.

PagerDuty by its REST API (https://developer.pagerduty.com/api-reference) and its Events API v2
(https://developer.pagerduty.com/docs/events-api-v2), a Statuspage by its public API. Slack is not among the deciding
sources: that nobody wrote of an incident does not mean that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from pydantic import AliasPath, BaseModel, Field

from verification.clients.web_api import System, WebApi, token_of
from verification.errors import ObserverError, VerificationError
from verification.redaction import redact
from verification.settings.observers import PagerDutyEvent, PagerDutyIncidents, StatuspageIncidents

_PAGE = 100
_MOST_PAGES = 50
_OPEN = {"triggered", "acknowledged"}
_LONGEST_SUMMARY = 1024
_LONGEST_KEY = 255
_OVER = {"resolved", "postmortem", "completed"}


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An open incident, in the words of its source."""

    title: str
    severity: str
    url: str
    source: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.title} ({self.source}, {self.url})"


@dataclass(frozen=True, slots=True)
class IncidentAnswers:
    """What the sources said, by their names: their open incidents, or why they did not answer."""

    found: Mapping[str, tuple[OpenIncident, ...]]
    silent: Mapping[str, VerificationError]

    @property
    def incidents(self) -> tuple[OpenIncident, ...]:
        """All open incidents."""
        return tuple(incident for incidents in self.found.values() for incident in incidents)


def ask_all(sources: Mapping[str, Callable[[], list[OpenIncident]]]) -> IncidentAnswers:
    """Ask all sources, side by side. One that fails is noted, and keeps no other from answering."""
    found: dict[str, tuple[OpenIncident, ...]] = {}
    silent: dict[str, VerificationError] = {}
    with ThreadPoolExecutor(max(len(sources), 1)) as pool:
        asked = {name: pool.submit(source) for name, source in sources.items()}
    for name, answer in asked.items():
        try:
            found[name] = tuple(answer.result())
        except VerificationError as problem:
            silent[name] = problem
        except Exception as error:  # one source must not silence the others
            silent[name] = ObserverError(f"{name} could not be asked: {type(error).__name__}: {redact(str(error))}")
    return IncidentAnswers(found, silent)


class _Priority(BaseModel):
    summary: str | None = None
    name: str | None = None


class _PagerDutyIncident(BaseModel):
    id: str
    title: str = ""
    summary: str = ""
    status: str
    urgency: str = ""
    html_url: str | None = None
    service: str = Field("", validation_alias=AliasPath("service", "id"))
    priority: _Priority | None = None

    @property
    def priority_name(self) -> str:
        return (self.priority.name or self.priority.summary or "") if self.priority else ""

    def is_critical(self, settings: PagerDutyIncidents) -> bool:
        if self.status not in _OPEN or (settings.services and self.service not in settings.services):
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
            for listed in page.incidents:
                if listed.is_critical(settings):
                    severity = listed.priority_name or f"urgency {listed.urgency}"
                    title = listed.title or listed.summary or listed.id
                    found.append(OpenIncident(title, severity, listed.html_url or settings.url, "PagerDuty"))
            if not page.more:
                return found
    raise ObserverError(
        f"PagerDuty has more than {_MOST_PAGES * _PAGE} open incidents", "Close what is over, or name services."
    )


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
    with closing(WebApi(system, "", timeout)) as api:
        api.post(
            "/v2/enqueue",
            {
                "routing_key": token_of(variables, system),
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


class _StatuspageIncident(BaseModel):
    name: str
    status: str
    impact: str
    shortlink: str | None = None


class _StatuspageAnswer(BaseModel):
    incidents: list[_StatuspageIncident]


def statuspage_incidents(settings: StatuspageIncidents, timeout: float) -> list[OpenIncident]:
    """The unresolved incidents of the impacts that the settings call critical, filtered on our side. No token needed.

    Raises ObserverError.
    """
    with closing(WebApi(System("Statuspage", settings.url), "", timeout)) as api:
        answer = api.get("/api/v2/incidents/unresolved.json").read(_StatuspageAnswer)
    return [
        OpenIncident(incident.name, incident.impact, incident.shortlink or settings.url, "Statuspage")
        for incident in answer.incidents
        if incident.impact in settings.impacts and incident.status not in _OVER
    ]
