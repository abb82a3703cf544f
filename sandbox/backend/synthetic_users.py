"""Users of the streaming service, who come in through the ingress like any others, at a steady rate."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from sandbox.platform.listener import plain_transport
from sandbox.platform.tasks import TaskSet

if TYPE_CHECKING:
    from sandbox.backend.database import User

_AGENT = "Mozilla/5.0 (Linux; Android 15; BRAVIA) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
_AT_ONCE = 64  # requests in flight; users beyond that give up before they ask
_PATIENCE_SECONDS = 30.0
_LAST_ANSWERS_SECONDS = 1.0


class SyntheticUsers:
    """Sends requests to `url` until closed, `rpm` of them a minute, 0 for none; it costs what it asks for.

    `share` answers which share of the users comes at all.
    """

    def __init__(self, url: str, account: User, rpm: int, share: Callable[[], float] = lambda: 1.0) -> None:
        self._rpm = rpm
        self._share = share
        self._account = account
        self._http = httpx.AsyncClient(
            transport=plain_transport(), base_url=url, headers={"User-Agent": _AGENT}, timeout=_PATIENCE_SECONDS
        )
        self._asking = TaskSet()
        self._chance = random.Random(7)
        self._sender: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, within the running loop."""
        self._sender = asyncio.create_task(self._send())

    async def set_rpm(self, rpm: int) -> None:
        """Change how many come. With 0, return when nobody waits for an answer any more, for a second at most."""
        self._rpm = rpm
        if self._asking and not rpm:
            await asyncio.wait(set(self._asking), timeout=_LAST_ANSWERS_SECONDS)

    async def close(self) -> None:
        """End, answers or not."""
        if self._sender is not None:
            self._sender.cancel()
        await self._asking.cancel()
        await self._http.aclose()

    async def _send(self) -> None:
        due = time.monotonic()
        while True:
            if self._rpm <= 0:
                await asyncio.sleep(0.2)
                due = time.monotonic()
                continue
            # Not by the clock: arrivals that are random come in bursts, as real ones do.
            due = max(due + self._chance.expovariate(self._rpm / 60), time.monotonic() - 1)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            stays_away = self._chance.random() >= self._share()
            if self._rpm > 0 and not stays_away and len(self._asking) < _AT_ONCE:
                self._asking.start(self._ask())

    async def _ask(self) -> None:
        """One in fifty logs in, one in five searches, the others browse. Who sees an error goes away."""
        roll = self._chance.random()
        with contextlib.suppress(httpx.HTTPError):
            if roll < 0.02:
                account = {"email": self._account.email, "password": self._account.password}
                await self._http.post("/api/v1/auth/login", json=account)
            elif roll < 0.2:
                await self._http.get("/api/v1/search", params={"q": self._chance.choice(("news", "film", "live"))})
            else:
                await self._http.get("/api/v1/content", params={"limit": 10})
