"""PagerDuty: the REST API as far as it lists incidents, and the Events API v2 as far as it triggers them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, Refusal, VendorApp, iso, json_object

if TYPE_CHECKING:
    from starlette.requests import Request

Status = Literal["triggered", "acknowledged", "resolved"]
Urgency = Literal["high", "low"]

_STATUSES: tuple[Status, ...] = ("triggered", "acknowledged", "resolved")
_DEFAULT_PAGE, _MAX_PAGE = 25, 100
_DEFAULT_RANGE = timedelta(days=30)
_SEVERITIES = ("critical", "error", "warning", "info")
_LONGEST_SUMMARY, _LONGEST_KEY, _LARGEST_EVENT = 1024, 255, 512_000
_WEB, _SERVICE = "https://bayit-plus.pagerduty.com", "Bayit+ Backend"


@dataclass(slots=True)
class PagerDutyIncident:
    """An incident; one that nobody graded has an empty priority."""

    id: str
    number: int
    title: str
    priority: str  # such as P1
    urgency: Urgency
    status: Status
    created: datetime
    key: str = ""  # of the event that triggered it, if one did


class PagerDutyApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.token = f"u+{secrets.token_urlsafe(13)}"
        self.routing_key = secrets.token_hex(16)
        self.incidents: list[PagerDutyIncident] = []  # oldest first
        self._service_id = _identifier()
        self.add("Search answers slowly", "P1", status="resolved", days_old=20)
        self.add("Disk of the build machine is filling up", "P4", urgency="low", status="acknowledged", days_old=2)
        super().__init__(
            [Route("/incidents", self._list), Route("/v2/enqueue", self._enqueue, methods=["POST"])],
            Refusal(404, {"error": {"message": "Not Found", "code": 2100}}),
        )

    def address(self, url: str) -> dict[str, str]:
        """The REST API with its token and, at the same address, the Events API with a key of its own."""
        return {"url": url, "token": self.token, "routing_key": self.routing_key}

    def add(
        self,
        title: str,
        priority: str = "",
        *,
        urgency: Urgency = "high",
        status: Status = "triggered",
        days_old: float = 0,
    ) -> PagerDutyIncident:
        """A new incident."""
        created = datetime.now(UTC) - timedelta(days=days_old)
        incident = PagerDutyIncident(_identifier(), len(self.incidents) + 1, title, priority, urgency, status, created)
        self.incidents.append(incident)
        return incident

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
        shown = [self._show(incident, full=full) for incident in found[offset : offset + limit]]
        more = offset + limit < len(found)
        return JSONResponse({"incidents": shown, "limit": limit, "offset": offset, "total": None, "more": more})

    async def _enqueue(self, request: Request) -> Response:
        """Take an event, whose routing key is in the body. One with the key of an open incident joins it."""
        if len(await request.body()) > _LARGEST_EVENT:
            raise Refusal(413, {"status": "invalid event", "message": "Event is too large"})
        body = await json_object(request, _invalid_event("JSON parse error"), _invalid_event("JSON parse error"))
        if problems := self._event_problems(body):
            raise _invalid_event(*problems)
        key, payload = str(body.get("dedup_key") or secrets.token_hex(16)), body["payload"]
        assert isinstance(payload, dict)
        if not any(known.key == key and known.status != "resolved" for known in self.incidents):
            self.add(str(payload["summary"])).key = key
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": key}, 202)

    def _event_problems(self, body: dict[str, object]) -> list[str]:
        payload = body.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        checks = {
            "'routing_key' is invalid": body.get("routing_key") == self.routing_key,
            "'event_action' is missing or is not trigger": body.get("event_action") == "trigger",
            "'dedup_key' is too long": len(str(body.get("dedup_key", ""))) <= _LONGEST_KEY,
            "'payload.summary' is missing or blank": payload.get("summary"),
            "'payload.source' is missing or blank": payload.get("source"),
            f"'payload.severity' is missing or is not one of {', '.join(_SEVERITIES)}": payload.get("severity")
            in _SEVERITIES,
            "'payload.summary' is too long": len(str(payload.get("summary", ""))) <= _LONGEST_SUMMARY,
        }
        return [problem for problem, holds in checks.items() if not holds]

    def _show(self, incident: PagerDutyIncident, *, full: bool) -> dict[str, Json]:
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
            "service": {"id": self._service_id, "type": "service_reference", "summary": _SERVICE},
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


def _invalid_event(*problems: str) -> Refusal:
    errors: list[Json] = [*problems]
    return Refusal(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})


def _identifier() -> str:
    return f"P{secrets.token_hex(3).upper()}"
