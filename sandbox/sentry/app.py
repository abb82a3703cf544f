"""Sentry, as its SDKs and the clients of its Web API know it, in one application on one port."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.sentry.events import SentryEvents
from sandbox.sentry.http import FULL_SCOPES, RateLimit, SentryRefusal, Tokens, require
from sandbox.sentry.ingest import ingest, sentry_key, unpacked
from sandbox.sentry.issues import SentryIssues
from sandbox.sentry.model import ORGANIZATION, ORGANIZATION_ID, PROJECT_ID, SentryStore
from sandbox.sentry.releases import SentryReleases

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

Answer = tuple[object, dict[str, str], int]  # body, headers, status
_OUTAGE = "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>"


class Sentry:
    """The ASGI application. `faults` are those in force: sentry-down, sentry-empty."""

    def __init__(self, faults: AbstractSet[str]) -> None:
        self.store = SentryStore()
        self.tokens = Tokens()
        self.rate_limit = RateLimit()
        self.token = self.tokens.mint(FULL_SCOPES)
        self._faults = faults
        self._keys: dict[str, str] = {}  # by environment
        self._events = SentryEvents(self.store)
        self._issues = SentryIssues(self.store, f"https://{ORGANIZATION}.sentry.io")
        self._releases = SentryReleases(self.store)
        self._app = Starlette(
            routes=[Route("/api/{project}/envelope/", self._envelope, methods=["POST"]), *self._web_api()],
            exception_handlers={SentryRefusal: _refused, HTTPException: _unrouted},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = HTMLResponse(_OUTAGE, 503) if "sentry-down" in self._faults else self._app
        await app(scope, receive, send)

    def dsn(self, url: str, environment: str) -> str:
        """The address that the SDK of one environment is given; each environment has a client key of its own."""
        key = self._keys.setdefault(environment, secrets.token_hex(16))
        return f"{url.replace('://', f'://{key}@')}/{PROJECT_ID}"

    def _web_api(self) -> list[Route]:
        base = "/api/0/organizations/{organization}"
        release = f"{base}/releases/{{version}}/"
        return [
            self._get(f"{base}/events/", "org:read", self._table),
            self._get(f"{base}/events-timeseries/", "org:read", self._timeseries),
            self._get(f"{base}/issues/", "event:read", self._search),
            self._get(f"{base}/issues/{{issue}}/", "event:read", self._issue),
            self._get(f"{base}/issues/{{issue}}/tags/{{key}}/", "event:read", self._tag),
            self._get("/api/0/issues/{issue}/", "event:read", self._issue),
            self._get("/api/0/issues/{issue}/tags/{key}/", "event:read", self._tag),
            self._get(f"{base}/", "org:read", self._organization),
            self._get(f"{base}/projects/", "org:read", self._projects),
            self._get(f"{base}/releases/", "project:releases", self._list_releases),
            self._post(f"{base}/releases/", self._create_release),
            self._get(release, "project:releases", self._release),
            self._get(f"{release}deploys/", "project:releases", self._list_deploys),
            self._post(f"{release}deploys/", self._create_deploy),
        ]

    def _get(self, path: str, scope: str, answer: Callable[[Request], Answer]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, scope, answer)

        return Route(path, endpoint, methods=["GET"])

    def _post(self, path: str, answer: Callable[[Request, dict[str, object]], Answer]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            return await self._answer(request, "project:releases", lambda request: answer(request, body))

        return Route(path, endpoint, methods=["POST"])

    async def _answer(self, request: Request, scope: str, answer: Callable[[Request], Answer]) -> Response:
        """Who is asking, may they, not too often, of this organization? Then the answer."""
        scopes = self.tokens.authenticate(request.headers.get("authorization", ""))
        allowed, limits = self.rate_limit.take()
        if not allowed:
            detail = "You are attempting to use this endpoint too frequently. See the rate limit headers."
            return JSONResponse({"detail": detail}, 429, limits)
        try:
            if request.path_params.get("organization", ORGANIZATION) not in {ORGANIZATION, ORGANIZATION_ID}:
                raise SentryRefusal(404, "The requested resource does not exist")
            require(scopes, scope)
            body, headers, status = answer(request)
        except SentryRefusal as refusal:
            return JSONResponse(refusal.body, refusal.status, limits)
        return JSONResponse(body, status, {**limits, **headers})

    @property
    def _empty(self) -> bool:
        return "sentry-empty" in self._faults

    async def _envelope(self, request: Request) -> Response:
        key = sentry_key(request.headers.get("x-sentry-auth", ""), request.url.query)
        if request.path_params["project"] != PROJECT_ID or key not in self._keys.values():
            raise SentryRefusal(403, "event submission rejected with_reason: ProjectId")
        envelope = unpacked(await request.body(), request.headers.get("content-encoding", ""))
        return JSONResponse({"id": ingest(None if self._empty else self.store, envelope)})

    def _table(self, request: Request) -> Answer:
        body, headers = self._events.table(request, empty=self._empty)
        return body, headers, 200

    def _timeseries(self, request: Request) -> Answer:
        return self._events.timeseries(request, empty=self._empty), {}, 200

    def _search(self, request: Request) -> Answer:
        body, headers = self._issues.search(request, empty=self._empty)
        return body, headers, 200

    def _issue(self, request: Request) -> Answer:
        return self._issues.one(request), {}, 200

    def _tag(self, request: Request) -> Answer:
        return self._issues.tag(request), {}, 200

    def _organization(self, _request: Request) -> Answer:
        return self._releases.organization(), {}, 200

    def _projects(self, request: Request) -> Answer:
        body, headers = self._releases.projects(request)
        return body, headers, 200

    def _list_releases(self, request: Request) -> Answer:
        body, headers = self._releases.releases(request)
        return body, headers, 200

    def _create_release(self, _request: Request, body: dict[str, object]) -> Answer:
        created, status = self._releases.create(body)
        return created, {}, status

    def _release(self, request: Request) -> Answer:
        return self._releases.release(request.path_params["version"]), {}, 200

    def _list_deploys(self, request: Request) -> Answer:
        return self._releases.deploys(request.path_params["version"]), {}, 200

    def _create_deploy(self, request: Request, body: dict[str, object]) -> Answer:
        return self._releases.deploy(request.path_params["version"], body), {}, 201


async def _body(request: Request) -> dict[str, object]:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise SentryRefusal(400, f"JSON parse error - {error}") from None
    if not isinstance(body, dict):
        raise SentryRefusal(400, "Invalid data. Expected a dictionary.")
    return body


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SentryRefusal)
    return JSONResponse(error.body, error.status)


async def _unrouted(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": "Not found."}, error.status_code)
