"""PagerDuty's Events API v2: an event that triggers, acknowledges or resolves an incident, once for each key."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.incidents.pagerduty import Incident, PagerDuty

_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")
_LONGEST_SUMMARY, _LONGEST_KEY, _LARGEST = 1024, 255, 512_000


class PagerDutyEvents:
    """`POST /v2/enqueue`. The key of an integration is in the body; there is no token."""

    def __init__(self, pagerduty: PagerDuty) -> None:
        self._pagerduty = pagerduty

    async def enqueue(self, request: Request) -> Response:
        """Take an event. One with the key of an incident that is open joins it."""
        raw = await request.body()
        if len(raw) > _LARGEST:
            return JSONResponse({"status": "invalid event", "message": "Event is too large"}, 413)
        try:
            body = json.loads(raw)
        except ValueError:
            return _invalid("JSON parse error")
        problems = self._problems(body if isinstance(body, dict) else {})
        if problems:
            return _invalid(*problems)
        key = str(body.get("dedup_key") or secrets.token_hex(16))
        found = next((one for one in self._pagerduty.incidents if one.key == key and one.status != "resolved"), None)
        if found is not None:
            _apply(found, body["event_action"])
        elif body["event_action"] == "trigger":
            added = self._pagerduty.add(str(body["payload"]["summary"]))
            added.key = key
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": key}, 202)

    def _problems(self, body: dict[str, object]) -> list[str]:
        found = []
        if body.get("routing_key") != self._pagerduty.routing_key:
            found.append("'routing_key' is invalid")
        if body.get("event_action") not in _ACTIONS:
            found.append("'event_action' is missing or is not one of trigger, acknowledge, resolve")
        if len(str(body.get("dedup_key", ""))) > _LONGEST_KEY:
            found.append("'dedup_key' is too long")
        if body.get("event_action") == "trigger":
            payload = body.get("payload")
            found += _problems_of(payload if isinstance(payload, dict) else {})
        elif not body.get("dedup_key"):
            found.append("'dedup_key' is missing or blank")
        return found


def _problems_of(payload: dict[str, object]) -> list[str]:
    found = [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
    if payload.get("severity") not in _SEVERITIES:
        found.append("'payload.severity' is missing or is not one of critical, error, warning, info")
    if len(str(payload.get("summary", ""))) > _LONGEST_SUMMARY:
        found.append("'payload.summary' is too long")
    return found


def _apply(incident: Incident, action: str) -> None:
    if action == "resolve":
        incident.status = "resolved"
    elif action == "acknowledge":
        incident.status = "acknowledged"


def _invalid(*errors: str) -> Response:
    return JSONResponse({"status": "invalid event", "message": "Event object is invalid", "errors": [*errors]}, 400)
