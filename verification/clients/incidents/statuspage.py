"""The public API of a Statuspage: unresolved incidents (`/api/v2/incidents/unresolved.json` below the page)."""

from __future__ import annotations

from contextlib import closing

from pydantic import BaseModel

from verification.clients.incidents.open_incidents import OpenIncident
from verification.clients.web_api import System, WebApi
from verification.settings.observers import StatuspageIncidents

_OVER = {"resolved", "postmortem", "completed"}


class _StatuspageIncident(BaseModel):
    name: str
    status: str
    impact: str
    shortlink: str | None = None


class _Answer(BaseModel):
    incidents: list[_StatuspageIncident]


def statuspage_incidents(settings: StatuspageIncidents, timeout: float) -> list[OpenIncident]:
    """The unresolved incidents of the impacts that the settings call critical, filtered on our side. No token needed.

    Raises ObserverError.
    """
    with closing(WebApi(System("Statuspage", settings.url), "", timeout)) as api:
        answer = api.get("/api/v2/incidents/unresolved.json").read(_Answer)
    return [
        OpenIncident(incident.name, incident.impact, incident.shortlink or settings.url, "Statuspage")
        for incident in answer.incidents
        if incident.impact in settings.impacts and incident.status not in _OVER
    ]
