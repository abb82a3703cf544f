"""One bad answer and never again: what a single question can meet at a service that is well."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from sandbox.faults import BLIP_SECONDS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Blips:
    """Applies those of `faults` that strike once: the next answer to each client (by its User-Agent)."""

    def __init__(self, faults: AbstractSet[str]) -> None:
        self._faults = faults
        self._struck: set[tuple[str, str]] = set()

    def on(self, app: ASGIApp, user_agent: str) -> ASGIApp:
        """What answers the request at hand, which is `app` but for a blip."""
        for fault, blip in _BLIPS.items():
            if fault in self._faults and (fault, user_agent) not in self._struck:
                self._struck.add((fault, user_agent))
                return blip or _late(app)
        return app


def _late(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(BLIP_SECONDS)
        await app(scope, receive, send)

    return answer


async def _broken_off(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Begin an answer and go: the server closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


_BLIPS: dict[str, ASGIApp | None] = {
    "blip": JSONResponse({"detail": "Internal Server Error"}, 500),
    "blip-502": JSONResponse({"detail": "Bad Gateway"}, 502),
    "blip-broken-off": _broken_off,
    "blip-slow": None,  # the answer itself is good
}
