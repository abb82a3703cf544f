"""The public API of a Statuspage: unresolved incidents (`/api/v2/incidents/unresolved.json` below the page)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.incidents.open_incidents import Incident
from verification.clients.web_api import System, WebApi
from verification.settings.observers import StatuspageIncidents

_OVER = {"resolved", "postmortem", "completed"}


class _Incident(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    status: str
    impact: str
    shortlink: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    incidents: list[_Incident]


_ANSWER = TypeAdapter(_Answer)


class Statuspage:
    """The unresolved incidents of a page, of the impacts that the settings call critical. It takes no token."""

    name = "Statuspage"

    def __init__(self, settings: StatuspageIncidents, timeout: float) -> None:
        self._settings = settings
        self._api = WebApi(System("Statuspage", settings.url), "", timeout)

    def open(self) -> list[Incident]:
        """Filtered on our side."""
        answer = self._api.get("/api/v2/incidents/unresolved.json").read(_ANSWER)
        return [
            Incident(one.name, one.impact, one.shortlink or self._settings.url, self.name)
            for one in answer.incidents
            if one.impact in self._settings.impacts and one.status not in _OVER
        ]

    def close(self) -> None:
        """End all connections."""
        self._api.close()
