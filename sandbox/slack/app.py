"""Slack: the Web API as its SDKs call it, and a page on which a person can read the channels."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.slack.blocks import SlackError
from sandbox.slack.files import SlackFiles
from sandbox.slack.methods import Arguments, SlackMethods
from sandbox.slack.model import Workspace, seed_slack
from sandbox.slack.page import page
from sandbox.vendor_api import RateLimit, VendorApp, bearer, json_object

if TYPE_CHECKING:
    from starlette.requests import Request

_SCOPES = ("channels:history", "channels:read", "chat:write", "files:write")
_FEW_SCOPES = ("channels:read",)


class SlackApp(VendorApp):
    """The ASGI application. `faults` are those in force: slack-down."""

    def __init__(self, faults: AbstractSet[str]) -> None:
        self.workspace = Workspace()
        seed_slack(self.workspace)
        self.rate_limit = RateLimit()
        self.token, self.token_without_scope = _token(), _token()
        self._scopes = {self.token: _SCOPES, self.token_without_scope: _FEW_SCOPES}
        self._methods = SlackMethods(self.workspace)
        self._files = SlackFiles(self.workspace)
        self._methods.by_name |= self._files.by_name
        routes = [
            Route("/", self._page),
            Route("/api/{method}", self._call, methods=["GET", "POST"]),
            Route("/upload/{id}", self._files.upload, methods=["POST"]),
        ]
        super().__init__(routes, faults=faults, outage="slack-down")

    def address(self, url: str) -> dict[str, str]:
        """At `url` a page to read, below `{url}/api/` the Web API. The second token may not post."""
        return {"url": url, "token": self.token, "token_without_scope": self.token_without_scope}

    async def _page(self, _request: Request) -> Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(page(self.workspace), headers=policy)

    async def _call(self, request: Request) -> Response:
        if self.rate_limit.take():
            wait = {"Retry-After": str(self.rate_limit.retry_after)}
            return JSONResponse({"ok": False, "error": "ratelimited"}, 429, wait)
        try:
            self._files.base = str(request.base_url)
            values = await _values(request)
            needed, method = self._methods.by_name.get(name := request.path_params["method"], ("", None))
            if method is None:
                raise SlackError("unknown_method", req_method=name)
            if (token := bearer(request)) not in self._scopes:
                raise SlackError("invalid_auth" if token else "not_authed")
            scopes = self._scopes[token]
            if needed and needed not in scopes:
                raise SlackError("missing_scope", needed=needed, provided=",".join(scopes))
            return JSONResponse({"ok": True, **method(Arguments(values))}, headers={"X-OAuth-Scopes": ",".join(scopes)})
        except SlackError as error:
            return JSONResponse(error.body)


async def _values(request: Request) -> Mapping[str, object]:
    """The arguments, wherever they stand. Raises SlackError."""
    values: dict[str, object] = {**request.query_params}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == "application/json":
        return values | await json_object(request, SlackError("invalid_json"), SlackError("json_not_object"))
    if kind == "application/x-www-form-urlencoded":
        values |= parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    elif body:
        raise SlackError("invalid_post_type")
    return values


def _token() -> str:
    return f"xoxb-{secrets.randbelow(10**12):012}-{secrets.randbelow(10**12):012}-{secrets.token_urlsafe(18)}"
