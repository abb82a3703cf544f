"""The Sentry SDK inside one revision: the real one, once for each revision, each with its own client.

Import this module late: the SDK takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.scope import use_scope
from sentry_sdk.utils import event_from_exception

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sandbox.platform.model import Revision

_FLUSH_SECONDS = 0.5
_QUEUE_SIZE = 1000  # a burst of requests is still reported whole


class Reporter:
    """Wraps an application: a transaction for each request, and an event for each exception that escapes.

    Several revisions live in this process, so nothing may be global: the client hangs on a scope that only the
    requests of this application run in.
    """

    def __init__(self, app: ASGIApp, dsn: str, environment: str, revision: Revision) -> None:
        self._client = sentry_sdk.Client(
            dsn=dsn,
            environment=environment,
            release=revision.commit,
            server_name=revision.name,
            traces_sample_rate=1.0,
            transport_queue_size=_QUEUE_SIZE,
            keep_alive=True,
            http_proxy="",  # never through a proxy of this machine
            default_integrations=False,  # they would patch the whole process
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,  # a thread for each client
            include_local_variables=False,
            include_source_context=False,
        )
        self._scope = sentry_sdk.Scope(client=self._client)
        self._app = SentryAsgiMiddleware(app, transaction_style="url", mechanism_type="starlette", asgi_version=3)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with use_scope(self._scope.fork()):
            await self._app(scope, receive, send)

    async def close(self) -> None:
        """Send what is waiting to be sent, as far as half a second goes, and end."""
        await asyncio.to_thread(self._client.close, _FLUSH_SECONDS)


def report(error: Exception, *, handled: bool, level: str = "error") -> None:
    """Report an exception of the request that is being answered."""
    options = sentry_sdk.get_client().options
    event, hint = event_from_exception(error, options, mechanism={"type": "starlette", "handled": handled})
    event["level"] = level  # type: ignore[typeddict-item]  # one of the SDK's literals; it checks nothing itself
    sentry_sdk.capture_event(event, hint)
