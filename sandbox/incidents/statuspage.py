"""Statuspage: the unresolved incidents, as a public status page tells programs of them, without a token."""

from __future__ import annotations

import secrets
from dataclasses import InitVar, dataclass, field
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

    name: str
    impact: Impact
    status: Status
    days_old: InitVar[float]
    created: datetime = field(init=False)
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    def __post_init__(self, days_old: float) -> None:
        self.created = datetime.now(UTC) - timedelta(days=days_old)


class StatuspageApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.incidents = [StatuspageIncident("Search answers slowly", "major", "resolved", 20)]  # oldest first
        self._page_id = secrets.token_hex(6)
        super().__init__([Route("/api/v2/incidents/unresolved.json", self._unresolved)])

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
