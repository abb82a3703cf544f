"""PagerDuty: the REST API as far as it lists incidents, and the Events API v2 that triggers and resolves them."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, Refusal, VendorApp, iso, moment

if TYPE_CHECKING:
    from starlette.requests import Request

Status = Literal["triggered", "acknowledged", "resolved"]
Urgency = Literal["high", "low"]

_STATUSES: tuple[Status, ...] = ("triggered", "acknowledged", "resolved")
_DEFAULT_PAGE, _MAX_PAGE, _MAX_REACH = 25, 100, 10_000
_DEFAULT_RANGE, _MAX_RANGE = timedelta(days=30), timedelta(days=184)
_ACTIONS: dict[str, Status] = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
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
        self._priority_ids: dict[str, str] = {}  # by name
        self.add("Search answers slowly", "P1", status="resolved", days_old=20)
        self.add("Disk of the build machine is filling up", "P4", urgency="low", status="acknowledged", days_old=2)
        super().__init__(
            [
                Route("/incidents", self._list),
                Route("/incidents/{id}", self._read),
                Route("/v2/enqueue", self._enqueue, methods=["POST"]),
            ],
            _refusal(404, 2100, "Not Found"),
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
        """One page, oldest first. Without dates it reaches back 30 days only, however open an older incident is."""
        self._authenticate(request)
        asked = request.query_params
        statuses, urgencies = asked.getlist("statuses[]"), asked.getlist("urgencies[]")
        if unknown := [status for status in statuses if status not in _STATUSES]:
            raise _refusal(400, 2001, "Invalid Input Provided", f"Status {unknown[0]} is not valid.")
        limit, offset = _number(request, "limit", _DEFAULT_PAGE), _number(request, "offset", 0)
        limit = max(1, min(limit, _MAX_PAGE))
        if limit + offset > _MAX_REACH:
            message = f"The sum of limit and offset must not exceed {_MAX_REACH}."
            raise _refusal(400, 2001, "Invalid Input Provided", message)
        since, until = _range(request)
        services = asked.getlist("service_ids[]")
        found = [
            incident
            for incident in sorted(self.incidents, key=lambda incident: incident.created)
            if (not statuses or incident.status in statuses)
            and (not urgencies or incident.urgency in urgencies)
            and (not services or self._service_id in services)
            and since <= incident.created <= until
        ]
        page, full = found[offset : offset + limit], "priorities" in asked.getlist("include[]")
        return JSONResponse(
            {
                "incidents": [self._show(request, incident, full=full) for incident in page],
                "limit": limit,
                "offset": offset,
                "total": len(found) if asked.get("total") == "true" else None,
                "more": offset + limit < len(found),
            }
        )

    async def _read(self, request: Request) -> Response:
        self._authenticate(request)
        wanted = request.path_params["id"]
        for incident in self.incidents:
            if wanted in {incident.id, str(incident.number)}:
                return JSONResponse({"incident": self._show(request, incident, full=True)})
        raise _refusal(404, 2100, "Not Found")

    async def _enqueue(self, request: Request) -> Response:
        """Take an event, whose routing key is in the body. One with the key of an open incident joins it."""
        raw = await request.body()
        if len(raw) > _LARGEST_EVENT:
            return JSONResponse({"status": "invalid event", "message": "Event is too large"}, 413)
        try:
            body = json.loads(raw)
        except ValueError:
            return _invalid_event(["JSON parse error"])
        if problems := self._event_problems(body if isinstance(body, dict) else {}):
            return _invalid_event(problems)
        key, action = str(body.get("dedup_key") or secrets.token_hex(16)), body["event_action"]
        joined = next((known for known in self.incidents if known.key == key and known.status != "resolved"), None)
        if joined is None and action == "trigger":
            self.add(str(body["payload"]["summary"])).key = key
        elif joined is not None and action != "trigger":
            joined.status = _ACTIONS[action]
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": key}, 202)

    def _event_problems(self, body: dict[str, object]) -> list[str]:
        action, payload = body.get("event_action"), body.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        trigger = action == "trigger"
        checks = {
            "'routing_key' is invalid": body.get("routing_key") == self.routing_key,
            f"'event_action' is missing or is not one of {', '.join(_ACTIONS)}": str(action) in _ACTIONS,
            "'dedup_key' is too long": len(str(body.get("dedup_key", ""))) <= _LONGEST_KEY,
            "'dedup_key' is missing or blank": trigger or body.get("dedup_key"),
            "'payload.summary' is missing or blank": not trigger or payload.get("summary"),
            "'payload.source' is missing or blank": not trigger or payload.get("source"),
            f"'payload.severity' is missing or is not one of {', '.join(_SEVERITIES)}": not trigger
            or payload.get("severity") in _SEVERITIES,
            "'payload.summary' is too long": len(str(payload.get("summary", ""))) <= _LONGEST_SUMMARY,
        }
        return [problem for problem, holds in checks.items() if not holds]

    def _authenticate(self, request: Request) -> None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        name, _, token = rest.strip().partition("=")
        if scheme.lower() != "token" or name != "token" or token.strip('"') != self.token:
            raise _refusal(401, 2006, "Authentication failed")

    def _show(self, request: Request, incident: PagerDutyIncident, *, full: bool) -> dict[str, Json]:
        created = iso(incident.created)
        return {
            "id": incident.id,
            "type": "incident",
            "summary": f"[#{incident.number}] {incident.title}",
            "self": f"{request.base_url}incidents/{incident.id}",
            "html_url": f"{_WEB}/incidents/{incident.id}",
            "incident_number": incident.number,
            "title": incident.title,
            "description": incident.title,
            **dict.fromkeys(("created_at", "updated_at", "last_status_change_at"), created),
            "resolved_at": created if incident.status == "resolved" else None,
            "status": incident.status,
            "incident_key": incident.key or incident.id.lower(),
            "service": {
                "id": self._service_id,
                "type": "service_reference",
                "summary": _SERVICE,
                "self": f"{request.base_url}services/{self._service_id}",
                "html_url": f"{_WEB}/service-directory/{self._service_id}",
            },
            **{name: [] for name in ("assignments", "acknowledgements", "teams")},
            "urgency": incident.urgency,
            "priority": self._priority(request, incident.priority, full=full) if incident.priority else None,
        }

    def _priority(self, request: Request, name: str, *, full: bool) -> dict[str, Json]:
        """The priority as a reference, whose `summary` is its name; in full it has a `name` too."""
        identity = self._priority_ids.setdefault(name, _identifier())
        url = f"{request.base_url}priorities/{identity}"
        reference: dict[str, Json] = {"id": identity, "summary": name, "self": url, "html_url": None}
        if not full:
            return reference | {"type": "priority_reference"}
        return reference | {"type": "priority", "name": name, "description": "", "color": "a8171c", "order": 1}


def _range(request: Request) -> tuple[datetime, datetime]:
    asked, now = request.query_params, datetime.now(UTC)
    if asked.get("date_range") == "all":
        return datetime.min.replace(tzinfo=UTC), now
    until = _asked_moment(asked["until"], "until") if "until" in asked else now
    since = _asked_moment(asked["since"], "since") if "since" in asked else until - _DEFAULT_RANGE
    if until - since > _MAX_RANGE:
        raise _refusal(400, 2001, "Invalid Input Provided", "The date range must not exceed 6 months.")
    return since, until


def _asked_moment(text: str, name: str) -> datetime:
    try:
        return moment(text)
    except ValueError:
        raise _refusal(400, 2001, "Invalid Input Provided", f"{name} is not a date.") from None


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise _refusal(400, 2001, "Invalid Input Provided", f"{name} must be a number.")
    return int(text)


def _refusal(status: int, code: int, message: str, *errors: str) -> Refusal:
    body: dict[str, Json] = {"message": message, "code": code}
    return Refusal(status, {"error": body | ({"errors": list(errors)} if errors else {})})


def _invalid_event(errors: list[str]) -> Response:
    return JSONResponse({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)


def _identifier() -> str:
    return "P" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(6))
