"""PagerDuty's REST API: open incidents (https://developer.pagerduty.com/api-reference)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.incidents.open_incidents import Incident
from verification.clients.web_api import System, WebApi, token_of
from verification.errors import ObserverError
from verification.settings.observers import PagerDutyIncidents

_PAGE = 100
_PAGES = 50
_OPEN = {"triggered", "acknowledged"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Named(_Part):
    id: str = ""
    summary: str | None = None
    name: str | None = None


class _Incident(_Part):
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


class _Page(_Part):
    incidents: list[_Incident]
    more: bool = False


_PAGE_SHAPE = TypeAdapter(_Page)


class PagerDuty:
    """The open incidents that the settings call critical."""

    name = "PagerDuty"

    def __init__(self, api: WebApi, settings: PagerDutyIncidents) -> None:
        self._api = api
        self._settings = settings

    @classmethod
    def of(cls, settings: PagerDutyIncidents, timeout: float, variables: Mapping[str, str]) -> PagerDuty:
        """Raises NotPermitted without PAGERDUTY_TOKEN."""
        system = System("PagerDuty", settings.url, "PAGERDUTY_TOKEN", "read access to incidents", "Token token=")
        headers = {"Accept": "application/vnd.pagerduty+json;version=2"}
        return cls(WebApi(system, token_of(variables, system), timeout, headers), settings)

    def open(self) -> list[Incident]:
        """Filtered on our side: a filter that the server does not know would be ignored without a word."""
        found: list[Incident] = []
        for number in range(_PAGES):
            asked: dict[str, str | list[str]] = {
                "statuses[]": sorted(_OPEN),
                "include[]": ["priorities"],
                "date_range": "all",  # without it only the last month is told of
                "limit": str(_PAGE),
                "offset": str(number * _PAGE),
            }
            page = self._api.get("/incidents", asked).read(_PAGE_SHAPE)
            found += [self._incident(one) for one in page.incidents if self._is_critical(one)]
            if not page.more:
                return found
        raise ObserverError(
            f"PagerDuty has more than {_PAGES * _PAGE} open incidents", "Close what is over, or name services."
        )

    def close(self) -> None:
        """End all connections."""
        self._api.close()

    def _is_critical(self, one: _Incident) -> bool:
        wanted = self._settings
        if one.status not in _OPEN:
            return False
        if wanted.services and (one.service is None or one.service.id not in wanted.services):
            return False
        return one.priority_name in wanted.priorities if one.priority_name else one.urgency in wanted.urgencies

    def _incident(self, one: _Incident) -> Incident:
        severity = one.priority_name or f"urgency {one.urgency}"
        return Incident(one.title or one.summary or one.id, severity, one.html_url or self._settings.url, self.name)
