"""PagerDuty: the REST API as far as it lists incidents, and the Events API v2 as far as it triggers them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, Refusal, VendorApp, iso, problems

if TYPE_CHECKING:
    from starlette.requests import Request

Status = Literal["triggered", "acknowledged", "resolved"]
Urgency = Literal["high", "low"]

_STATUSES: tuple[Status, ...] = ("triggered", "acknowledged", "resolved")
_DEFAULT_PAGE, _MAX_PAGE = 25, 100
_DEFAULT_RANGE = timedelta(days=30)
_LARGEST_EVENT = 512_000
_WEB = "https://bayit-plus.pagerduty.com"
_SERVICE: Json = {"id": "PBACKND", "type": "service_reference", "summary": "Bayit+ Backend"}


@dataclass(slots=True)
class PagerDutyIncident:
    """An incident; one that nobody graded has an empty priority."""

    title: str
    priority: str = ""  # such as P1
    urgency: Urgency = "high"
    status: Status = "triggered"
    days_old: InitVar[float] = 0
    key: str = ""  # of the event that triggered it, if one did
    created: datetime = field(init=False)
    number: int = field(default_factory=count(1).__next__)
    id: str = field(default_factory=lambda: f"P{secrets.token_hex(3).upper()}")

    def __post_init__(self, days_old: float) -> None:
        self.created = datetime.now(UTC) - timedelta(days=days_old)


class _Alarm(BaseModel):
    summary: str = Field(min_length=1, max_length=1024)
    source: str = Field(min_length=1)
    severity: Literal["critical", "error", "warning", "info"]


class _TriggerEvent(BaseModel):
    routing_key: str
    event_action: Literal["trigger"]
    dedup_key: str = Field("", max_length=255)
    payload: _Alarm


class PagerDutyApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.token = f"u+{secrets.token_urlsafe(13)}"
        self.routing_key = secrets.token_hex(16)
        self.incidents = [
            PagerDutyIncident("Search answers slowly", "P1", status="resolved", days_old=20),
            PagerDutyIncident("Disk of the build machine is filling up", "P4", "low", "acknowledged", days_old=2),
        ]
        super().__init__(
            [Route("/incidents", self._list), Route("/v2/enqueue", self._enqueue, methods=["POST"])],
            Refusal(404, {"error": {"message": "Not Found", "code": 2100}}),
        )

    def address(self, url: str) -> dict[str, str]:
        """The REST API with its token and, at the same address, the Events API with a key of its own."""
        return {"url": url, "token": self.token, "routing_key": self.routing_key}

    async def _list(self, request: Request) -> Response:
        """One page, oldest first. It reaches back 30 days, however open an older incident is, or to the beginning."""
        if request.headers.get("authorization") != f"Token token={self.token}":
            raise Refusal(401, {"error": {"message": "Authentication failed", "code": 2006}})
        asked = request.query_params
        statuses = asked.getlist("statuses[]")
        if unknown := [status for status in statuses if status not in _STATUSES]:
            raise _invalid(f"Status {unknown[0]} is not valid.")
        limit, offset = _number(request, "limit", _DEFAULT_PAGE), _number(request, "offset", 0)
        limit = max(1, min(limit, _MAX_PAGE))
        oldest = datetime.now(UTC) - _DEFAULT_RANGE
        found = [
            incident
            for incident in sorted(self.incidents, key=lambda incident: incident.created)
            if (not statuses or incident.status in statuses)
            and (asked.get("date_range") == "all" or incident.created >= oldest)
        ]
        full = "priorities" in asked.getlist("include[]")
        shown = [_show(incident, full=full) for incident in found[offset : offset + limit]]
        more = offset + limit < len(found)
        return JSONResponse({"incidents": shown, "limit": limit, "offset": offset, "total": None, "more": more})

    async def _enqueue(self, request: Request) -> Response:
        """Take an event, whose routing key is in the body. One with the key of an open incident joins it."""
        body = await request.body()
        if len(body) > _LARGEST_EVENT:
            raise Refusal(413, {"status": "invalid event", "message": "Event is too large"})
        try:
            event = _TriggerEvent.model_validate_json(body)
        except ValidationError as error:
            raise _invalid_event(problems(error)) from None
        if event.routing_key != self.routing_key:
            raise _invalid_event(["'routing_key' is invalid"])
        key = event.dedup_key or secrets.token_hex(16)
        if not any(known.key == key and known.status != "resolved" for known in self.incidents):
            self.incidents.append(PagerDutyIncident(event.payload.summary, key=key))
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": key}, 202)


def _show(incident: PagerDutyIncident, *, full: bool) -> dict[str, Json]:
    """An incident; its priority is a reference, whose `summary` is its name, and in full has a `name` too."""
    priority: dict[str, Json] = {"type": "priority_reference", "summary": incident.priority}
    if full:
        priority = {"type": "priority", "summary": incident.priority, "name": incident.priority}
    return {
        "id": incident.id,
        "type": "incident",
        "summary": f"[#{incident.number}] {incident.title}",
        "html_url": f"{_WEB}/incidents/{incident.id}",
        "incident_number": incident.number,
        "title": incident.title,
        "created_at": iso(incident.created),
        "status": incident.status,
        "incident_key": incident.key or incident.id.lower(),
        "service": _SERVICE,
        "urgency": incident.urgency,
        "priority": priority if incident.priority else None,
    }


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise _invalid(f"{name} must be a number.")
    return int(text)


def _invalid(problem: str) -> Refusal:
    return Refusal(400, {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": [problem]}})


def _invalid_event(errors: Sequence[Json]) -> Refusal:
    return Refusal(400, {"status": "invalid event", "message": "Event object is invalid", "errors": [*errors]})
