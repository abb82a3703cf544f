"""The operator API, which no vendor has: releases, faults, users, events, and what was served."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import CATALOGUE, FaultError, Faults, plan, plan_in_force
from sandbox.platform.errors import ApiError
from sandbox.platform.model import Rollout
from sandbox.sentry.first_visit import SILENT_FAULTS, first_visit
from sandbox.timing import LARGEST_RPM
from sandbox.vendor_api import json_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet

    from starlette.requests import Request

    from sandbox.addresses import AddressDocument
    from sandbox.platform.control_plane import ControlPlane
    from sandbox.platform.ingress import Ingress
    from sandbox.platform.model import CloudRunService
    from sandbox.sentry.app import SentryApp
    from sandbox.vendors import Vendors

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class OperatorApi:
    """The endpoints; `ingresses` is by environment."""

    control: ControlPlane
    ingresses: Mapping[str, Ingress]
    document: Callable[[], AddressDocument]
    sentry: SentryApp
    vendors: Vendors
    set_users: Callable[[int], Awaitable[None]]  # how many requests a minute production's users make
    candidate: str  # the commit that is released unless another one is named; may be empty
    undo: list[Callable[[], None]] = field(default_factory=list)  # how to take back what was planted

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._addresses),
                Route("/faults", self._catalogue, methods=["GET"]),
                Route("/faults", self._put_faults, methods=["PUT"]),
                Route("/release", self._release, methods=["POST"]),
                Route("/served", self._served),
                Route("/users", self._set_users, methods=["PUT"]),
                Route("/slack", self._read_slack, methods=["GET"]),
                Route("/plant", self._plant, methods=["POST"]),
                Route("/plant", self._unplant, methods=["DELETE"]),
            ],
            exception_handlers={HTTPException: _http_error, FaultError: _bad_fault, ApiError: _api_error},
        )

    async def _addresses(self, _request: Request) -> Response:
        return JSONResponse(self.document().as_json())

    async def _catalogue(self, _request: Request) -> Response:
        faults = [asdict(fault) for fault in CATALOGUE]
        there = self.control.faults
        return JSONResponse({"faults": faults, "in_force": sorted(there), "to_come": there.to_come()})

    async def _put_faults(self, request: Request) -> Response:
        body = await _body(request)
        wanted = plan_in_force(_names(body.get("faults")))
        self.control.faults.clear()
        self.control.faults.update(wanted)
        return JSONResponse({"in_force": sorted(self.control.faults), "to_come": self.control.faults.to_come()})

    async def _release(self, request: Request) -> Response:
        body = await _body(request)
        ingress = self._ingress(body.get("environment"))
        faults = plan(_names(body.get("faults", [])))
        commit = body.get("commit") or self.candidate or secrets.token_hex(20)
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise HTTPException(422, "commit: give 40 hexadecimal digits in lower case, or leave it out")
        began, in_force = datetime.now(UTC), {*self.control.faults, *Faults(faults.in_force)}
        by_workflow = in_force if ingress.service.environment == "production" else set[str]()
        note, red = await self._deploy(ingress.service, faults.in_revision, commit, by_workflow)
        if ingress.service.environment == "production":
            slow = "slow-deployment" in by_workflow
            self.vendors.github.actions.note_release(commit, began, red, slow=slow)
        self.control.faults.update(faults.in_force)
        if SILENT_FAULTS & faults.in_revision and not {"sentry-down", "sentry-empty"} & self.control.faults:
            await first_visit(ingress.service, note, self.sentry.store)
        return JSONResponse(note.as_json())

    async def _deploy(
        self, service: CloudRunService, faults: frozenset[str], commit: str, by_workflow: AbstractSet[str]
    ) -> tuple[Rollout, str]:
        """The deployment's note, and the job of the workflow that failed, if one did. Raises ApiError."""
        previous = service.deployments[-1]
        if "build-red" in by_workflow:
            return previous, "build"
        try:
            note = await self.control.deploy(service.name, faults=faults, commit=commit)
        except ApiError:
            if "deploy-red" not in faults:
                raise
            return Rollout(datetime.now(UTC), previous.current, service.latest_created, commit), "deploy"
        return note, "health-check" if "health-check-red" in by_workflow else ""

    async def _served(self, request: Request) -> Response:
        ingress = self._ingress(request.query_params.get("environment"))
        counts: dict[str, dict[str, int]] = {}
        for (revision, status), count in sorted(ingress.counts.items()):
            counts.setdefault(revision, {})[str(status)] = count
        requests = [asdict(served) | {"time": served.time.isoformat()} for served in ingress.requests]
        return JSONResponse({"counts": counts, "moves": ingress.service.moves, "requests": requests})

    async def _set_users(self, request: Request) -> Response:
        """How many requests a minute production's users make from now on."""
        rpm = (await _body(request)).get("rpm")
        if isinstance(rpm, bool) or not isinstance(rpm, int) or not 0 <= rpm <= LARGEST_RPM:
            raise HTTPException(422, f"rpm: give a whole number from 0 to {LARGEST_RPM}")
        await self.set_users(rpm)
        return JSONResponse({"rpm": rpm})

    async def _read_slack(self, _request: Request) -> Response:
        """What was written in Slack's channels."""
        return JSONResponse({"channels": self.vendors.slack.workspace.transcript()})

    async def _plant(self, request: Request) -> Response:
        """Have an incident, a message or a rate limit appear."""
        from sandbox.scenario_events import BadEventError, plant  # pydantic takes a while to import

        try:
            return JSONResponse({"planted": plant(self.vendors, await request.body(), self.undo)})
        except BadEventError as error:
            raise HTTPException(422, str(error)) from None

    async def _unplant(self, _request: Request) -> Response:
        """Close what was planted as an incident, and lift the rate limits."""
        while self.undo:
            self.undo.pop()()
        return Response(status_code=204)

    def _ingress(self, environment: object) -> Ingress:
        ingress = self.ingresses.get(environment) if isinstance(environment, str) else None
        if ingress is None:
            known = ", ".join(self.ingresses)
            raise HTTPException(422, f"unknown environment {environment!r}; known here: {known}")
        return ingress


async def _body(request: Request) -> dict[str, object]:
    no_json, no_object = (
        HTTPException(422, f"the body {problem}") for problem in ("is not JSON", "must be a JSON object")
    )
    return await json_object(request, no_json, no_object)


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise HTTPException(422, 'faults: give a list of names, such as ["login-broken"]')
    return value


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _bad_fault(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "faults": [fault.name for fault in CATALOGUE]}, 422)


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse({"error": f"Cloud Run refused: {error.message}"}, error.http)
