"""Statuspage: what a public status page answers to programs, without a token."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, VendorApp

if TYPE_CHECKING:
    from starlette.requests import Request

Status = Literal["investigating", "identified", "monitoring", "resolved", "postmortem"]
Impact = Literal["none", "minor", "major", "critical"]

_CLOSED = frozenset({"resolved", "postmortem"})
_IMPACTS: tuple[Impact, ...] = ("none", "minor", "major", "critical")
_DESCRIPTIONS = {
    "none": "All Systems Operational",
    "minor": "Minor Service Outage",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
}


@dataclass(slots=True)
class StatuspageIncident:
    """An incident as the public is told of it."""

    id: str
    name: str
    impact: Impact
    status: Status
    created: datetime
    update_id: str

    @property
    def is_open(self) -> bool:
        """Whether the page shows it as unresolved."""
        return self.status not in _CLOSED


class StatuspageApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.incidents: list[StatuspageIncident] = []  # oldest first
        self._page_id = _identifier()
        self.add("Search answers slowly", "major", "resolved", days_old=20)
        super().__init__(
            [
                Route("/api/v2/incidents/unresolved.json", self._unresolved),
                Route("/api/v2/incidents.json", self._all),
                Route("/api/v2/status.json", self._status),
            ]
        )

    def add(
        self, name: str, impact: Impact = "critical", status: Status = "investigating", *, days_old: float = 0
    ) -> StatuspageIncident:
        """A new incident."""
        created = datetime.now(UTC) - timedelta(days=days_old)
        incident = StatuspageIncident(_identifier(), name, impact, status, created, _identifier())
        self.incidents.append(incident)
        return incident

    async def _unresolved(self, request: Request) -> Response:
        return self._answer(request, [incident for incident in self.incidents if incident.is_open])

    async def _all(self, request: Request) -> Response:
        return self._answer(request, self.incidents)

    async def _status(self, request: Request) -> Response:
        worst = max((_IMPACTS.index(incident.impact) for incident in self.incidents if incident.is_open), default=0)
        indicator = _IMPACTS[worst]
        status = {"indicator": indicator, "description": _DESCRIPTIONS[indicator]}
        return JSONResponse({"page": self._page(request), "status": status})

    def _answer(self, request: Request, incidents: list[StatuspageIncident]) -> Response:
        shown = [self._show(request, incident) for incident in reversed(incidents)]
        return JSONResponse({"page": self._page(request), "incidents": shown})

    def _page(self, request: Request) -> dict[str, Json]:
        updated = max(incident.created for incident in self.incidents)
        url = str(request.base_url).rstrip("/")
        return {"id": self._page_id, "name": "Bayit+", "url": url, "time_zone": "Etc/UTC", "updated_at": _iso(updated)}

    def _show(self, request: Request, incident: StatuspageIncident) -> dict[str, Json]:
        at = _iso(incident.created)
        update: dict[str, Json] = {
            "id": incident.update_id,
            "status": incident.status,
            "body": incident.name,
            "incident_id": incident.id,
            **dict.fromkeys(("created_at", "updated_at", "display_at"), at),
            "affected_components": None,
        }
        return {
            "id": incident.id,
            "name": incident.name,
            "status": incident.status,
            "impact": incident.impact,
            **dict.fromkeys(("created_at", "updated_at", "started_at"), at),
            "monitoring_at": at if incident.status == "monitoring" else None,
            "resolved_at": None if incident.is_open else at,
            "shortlink": f"{request.base_url}incidents/{incident.id}",
            "page_id": self._page_id,
            "incident_updates": [update],
            "components": [],
        }


def _identifier() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
