"""Requests to a new release whose fault shows in Sentry alone, so that the issue is there when the release is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from sandbox.platform.listener import plain_transport

if TYPE_CHECKING:
    from sandbox.platform.model import CloudRunService, Rollout
    from sandbox.sentry.model import SentryStore

SILENT_FAULTS = frozenset({"new-error-type", "critical-error"})  # no answer of the service shows them
_DEADLINE_SECONDS = 8.0  # a busy machine may take seconds to hand on what the SDK sends
_PAUSE_SECONDS = 0.05
_HEADERS = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"}


async def first_visit(service: CloudRunService, deployment: Rollout, store: SentryStore) -> None:
    """Visit the service until Sentry has heard of the release, for some seconds at most.

    A revision that receives no traffic is not visited.
    """
    if not any(line.percent > 0 and line.revision == deployment.current for line in service.serving):
        return
    known = _heard_of(deployment, store)  # the commit may run elsewhere already
    async with httpx.AsyncClient(transport=plain_transport(), headers=_HEADERS, timeout=_DEADLINE_SECONDS) as visitor:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                while _heard_of(deployment, store) == known:
                    await visitor.get(f"{service.url}/api/v1/content")
                    await asyncio.sleep(_PAUSE_SECONDS)
        except (TimeoutError, httpx.HTTPError):
            return  # it shows when somebody else comes


def _heard_of(deployment: Rollout, store: SentryStore) -> int:
    return sum(event.release == deployment.commit for event in store.errors())
