"""Google's front end: what it adds to a revision's answer, what it answers itself, and what it writes down of that.

Nobody promises any of this; it is what published answers and log entries look like.

- All that Cloud Run answers carries `Server: Google Frontend` and `X-Cloud-Trace-Context`, a revision's answer and a
  refusal of its own alike. A service's `Server` is replaced. Over TLS there is `Alt-Svc` too.
- A refusal is a small page of one style, "Error: Forbidden" say; for want of an instance, the words "Rate exceeded."
- It is in the request log, labelled with the revision that would have been asked. What gives it away is a text
  (`textPayload`), which an ordinary request has not, and a latency of 0 s. It is in no metric of the revision.
- Who comes to an address that no service has, such as a removed tag's, is in no service's log.
- Cloud Armor stands at a load balancer in front of Cloud Run, which hears nothing of what it denies: its page comes
  without `Server` and without a trace, and nothing is logged here. An address of Cloud Run's own, such as a tag's,
  does not lead past it.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HeaderLines = Sequence[tuple[bytes, bytes]]
OWN_HEADERS = frozenset({b"date", b"server", b"x-cloud-trace-context", b"alt-svc"})
_ALT_SVC = (b"alt-svc", b'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000')
_TRACE = re.compile(r"(?:00-)?([0-9a-f]{32})(?:[-/;].*)?")
_TROUBLESHOOTING = (
    "Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting"
)
_DENIED = (
    '<!doctype html><meta charset="utf-8"><meta name=viewport content="width=device-width, initial-scale=1">'
    "<title>403</title>403 Forbidden"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of Cloud Run's own. `said` is the text of its log entry; `reached` where a revision got the request."""

    status: int
    title: str
    detail: str = ""
    said: str = ""
    reached: bool = False

    def response(self, path: str) -> Response:
        """The answer to a request for `path`."""
        if self.status == NO_INSTANCE.status:
            return Response("Rate exceeded.", self.status, media_type="text/html")
        detail = self.detail.format(path=html.escape(path))
        page = (
            '<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
            f"<title>{self.status} {self.title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
            f"<h1>Error: {self.title}</h1>\n<h2>{detail}</h2>\n<h2></h2>\n</body></html>\n"
        )
        return Response(page, self.status, {"content-type": "text/html; charset=UTF-8"})


IAM = Refusal(
    403,
    "Forbidden",
    "Your client does not have permission to get URL <code>{path}</code> from this server.",
    "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization "
    f"header. Read more at https://cloud.google.com/run/docs/securing/authenticating {_TROUBLESHOOTING}"
    "#unauthorized-client",
)
NOT_FOUND = Refusal(404, "Page not found", "The requested URL was not found on this server.")
NO_INSTANCE = Refusal(
    429,
    "Too Many Requests",
    said=f"The request was aborted because there was no available instance. {_TROUBLESHOOTING}#abort-request",
)
NOT_STARTED = Refusal(503, "Service Unavailable", "The service you requested is not available.")
BROKEN_OFF = Refusal(
    503,
    "Service Unavailable",
    "The service you requested is not available.",
    "The request failed because either the HTTP response was malformed or connection to the instance had an error. "
    f"{_TROUBLESHOOTING}#malformed-response-or-connection-error",
    reached=True,
)
TIMED_OUT = Refusal(
    504,
    "Gateway Timeout",
    "upstream request timeout",
    "The request has been terminated because it has reached the maximum request timeout. "
    "To change this limit, see https://cloud.google.com/run/docs/configuring/request-timeout",
    reached=True,
)


class NoInstanceError(Exception):
    """No instance of a revision is free, and none can be started."""


def trace_of(headers: Headers) -> str:
    """The trace of a request: the client's if it names one, else a new one."""
    named = headers.get("x-cloud-trace-context") or headers.get("traceparent") or ""
    found = _TRACE.fullmatch(named)
    return found[1] if found else secrets.token_hex(16)


def own_headers(scheme: str, trace: str) -> HeaderLines:
    """The headers of every answer of Cloud Run's."""
    headers = [
        (b"date", formatdate(usegmt=True).encode()),
        (b"server", b"Google Frontend"),
        (b"x-cloud-trace-context", f"{trace};o=1".encode()),
    ]
    return [*headers, _ALT_SVC] if scheme == "https" else headers


class Wall:
    """Cloud Armor before an address. `faults` are those in force: whom it denies."""

    def __init__(self, app: ASGIApp, faults: AbstractSet[str]) -> None:
        self._app, self._faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deny one request, or pass it on."""
        browser = Headers(scope=scope).get("user-agent", "").startswith("Mozilla/")
        denies = "waf-everybody" in self._faults or ("waf" in self._faults and not browser)
        await (_denied(scope["scheme"]) if denies else self._app)(scope, receive, send)


def _denied(scheme: str) -> Response:
    response = Response(_DENIED, 403, {"content-type": "text/html; charset=UTF-8"})
    response.raw_headers.append((b"date", formatdate(usegmt=True).encode()))
    if scheme == "https":
        response.raw_headers.append(_ALT_SVC)
    return response
