"""Sentry, as its SDKs and the clients of its Web API know it, in one application on one port."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.sentry.events import SentryEventEndpoints
from sandbox.sentry.http import FORBIDDEN, SentryRefusal, not_found
from sandbox.sentry.ingest import ingest, sentry_key, unpacked
from sandbox.sentry.issues import SentryIssueEndpoints
from sandbox.sentry.model import ORGANIZATION, ORGANIZATION_ID, PROJECT, PROJECT_ID, SentryStore
from sandbox.sentry.releases import SentryReleaseEndpoints
from sandbox.vendor_api import Endpoint, Json, VendorApp, bearer

if TYPE_CHECKING:
    from starlette.requests import Request

_SCOPES = frozenset({"event:read", "org:read", "project:releases"})
_FEW_SCOPES = frozenset({"org:read"})


class SentryApp(VendorApp):
    """The ASGI application. `faults` are those in force: sentry-down, sentry-empty."""

    def __init__(self, faults: AbstractSet[str], environments: Iterable[str]) -> None:
        self.store = SentryStore()
        self.token, self.token_without_scope = _token(), _token()
        self._scopes = {self.token: _SCOPES, self.token_without_scope: _FEW_SCOPES}
        self._faults = faults
        self._keys = {environment: secrets.token_hex(16) for environment in environments}
        self._events = SentryEventEndpoints(self.store, faults)
        self._issues = SentryIssueEndpoints(self.store, faults)
        self._releases = SentryReleaseEndpoints(self.store)
        routes = [Route("/api/{project}/envelope/", self._envelope, methods=["POST"]), *self._web_api()]
        super().__init__(routes, SentryRefusal(404, "Not found."), faults, "sentry-down")

    def dsn(self, url: str, environment: str) -> str:
        """The address that the SDK of one environment is given; each environment has a client key of its own."""
        return f"{url.replace('://', f'://{self._keys[environment]}@')}/{PROJECT_ID}"

    def address(self, url: str) -> Mapping[str, Json]:
        """Below `url` are ingest and Web API. The second token has few scopes; DSNs are by environment."""
        tokens = {"token": self.token, "token_without_scope": self.token_without_scope}
        dsn = {environment: self.dsn(url, environment) for environment in self._keys}
        return {"url": url, "organization": ORGANIZATION, "project": PROJECT, **tokens, "dsn": dsn}

    def _web_api(self) -> list[Route]:
        base = "/api/0/organizations/{organization}"
        events, issues, releases = self._events, self._issues, self._releases
        deploys = f"{base}/releases/{{version}}/deploys/"
        return [
            self._route(f"{base}/events/", "org:read", events.read),
            self._route(f"{base}/issues/", "event:read", issues.search),
            self._route(f"{base}/issues/{{issue:int}}/tags/environment/", "event:read", issues.environments),
            self._route(f"{base}/issues/{{issue:int}}/tags/release/", "event:read", issues.releases),
            self._route(f"{base}/projects/", "org:read", releases.projects),
            self._route(f"{base}/releases/", "project:releases", releases.create, "POST"),
            self._route(deploys, "project:releases", releases.deploys),
            self._route(deploys, "project:releases", releases.deploy, "POST"),
        ]

    def _route(self, path: str, scope: str, answer: Endpoint, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            """Who is asking, may they, of this organization? Then the answer."""
            token = bearer(request)
            if token not in self._scopes:
                raise SentryRefusal(401, "Invalid token" if token else "Authentication credentials were not provided.")
            if request.path_params["organization"] not in {ORGANIZATION, ORGANIZATION_ID}:
                raise not_found()
            if scope not in self._scopes[token]:
                raise SentryRefusal(403, FORBIDDEN)
            return await answer(request)

        return Route(path, endpoint, methods=[method])

    async def _envelope(self, request: Request) -> Response:
        key = sentry_key(request.headers.get("x-sentry-auth", ""), request.url.query)
        if request.path_params["project"] != PROJECT_ID or key not in self._keys.values():
            raise SentryRefusal(403, "event submission rejected with_reason: ProjectId")
        envelope = unpacked(await request.body(), request.headers.get("content-encoding", ""))
        return JSONResponse({"id": ingest(None if "sentry-empty" in self._faults else self.store, envelope)})


def _token() -> str:
    return f"sntryu_{secrets.token_hex(32)}"
