"""Statuspage: the unresolved incidents, as a public status page tells programs of them, without a token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, VendorApp

if TYPE_CHECKING:
    from starlette.requests import Request

Status = Literal["investigating", "identified", "monitoring", "resolved"]
Impact = Literal["none", "minor", "major", "critical"]


@dataclass(slots=True)
class StatuspageIncident:
    """An incident as the public is told of it."""

    id: str
    name: str
    impact: Impact
    status: Status
    created: datetime


class StatuspageApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.incidents: list[StatuspageIncident] = []  # oldest first
        self._page_id = secrets.token_hex(6)
        self.add("Search answers slowly", "major", "resolved", days_old=20)
        super().__init__([Route("/api/v2/incidents/unresolved.json", self._unresolved)])

    def add(
        self, name: str, impact: Impact = "critical", status: Status = "investigating", *, days_old: float = 0
    ) -> StatuspageIncident:
        """A new incident."""
        created = datetime.now(UTC) - timedelta(days=days_old)
        incident = StatuspageIncident(secrets.token_hex(6), name, impact, status, created)
        self.incidents.append(incident)
        return incident

    async def _unresolved(self, request: Request) -> Response:
        shown = [self._show(request, incident) for incident in self.incidents[::-1] if incident.status != "resolved"]
        page = {"id": self._page_id, "name": "Bayit+", "url": str(request.base_url), "time_zone": "Etc/UTC"}
        return JSONResponse({"page": page, "incidents": shown})

    def _show(self, request: Request, incident: StatuspageIncident) -> dict[str, Json]:
        return {
            "id": incident.id,
            "name": incident.name,
            "status": incident.status,
            "impact": incident.impact,
            "created_at": incident.created.isoformat(timespec="milliseconds"),
            "shortlink": f"{request.base_url}incidents/{incident.id}",
            "page_id": self._page_id,
        }
