"""Fault injection into API requests: failures, delays, exceptions that only Sentry sees, memory that fills up.

Whom it strikes is counted, not drawn, and each client (by its User-Agent) is spared at first: somebody who looks in
with a few requests finds nothing wrong, the many users do, and two runs see the same. The fault errors-half-percent
spares nobody, and draws.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from sandbox.faults import REQUESTS_TO_FULL_MEMORY, SPARED, Faults

ERROR_SHARE, SMALL_SHARE = 0.2, 0.005
RAMP_SHARE, RAMP_SECONDS = 0.3, 20.0
LONG_SECONDS, SHORT_SECONDS = 2.5, 0.7
_EVERY = 3  # requests for content of which the first fails silently
_CLIENTS = 256  # that are remembered; any more are strangers again


@dataclass(slots=True)
class _Client:
    requests: int = 0
    due: float = 0.0  # failures that are owed to this client


class RequestFaults:
    """Applies `faults` to the requests of one container; `out_of_memory` has it killed. `seed` is what chance is."""

    def __init__(self, faults: Faults, out_of_memory: Callable[[], None], seed: str = "") -> None:
        self._faults = faults
        self._out_of_memory = out_of_memory
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._chance = random.Random(seed)
        self._held = 0  # requests whose memory was not given back

    async def delay_or_fail(self, user_agent: str) -> bool:
        """Delay an API request as the faults want it; True when it must fail. It may never return."""
        await self._fill_memory()
        if "errors-half-percent" in self._faults and self._chance.random() < SMALL_SHARE:
            return True
        if not {"error-rate", "latency", "ramp"} & set(self._faults):
            return False
        client = self._known(user_agent)
        client.requests += 1
        number = client.requests - SPARED
        if number <= 0:
            return False
        if "latency" in self._faults:
            await asyncio.sleep(LONG_SECONDS if number % 10 == 0 else SHORT_SECONDS if number % 2 else 0)
        client.due += self._share()
        if client.due < 1 - 1e-9:
            return False
        client.due -= 1
        return True

    def _share(self) -> float:
        """The share of requests that fail now."""
        ramped = min((self._faults.seconds("ramp") or 0.0) / RAMP_SECONDS, 1.0) * RAMP_SHARE
        return ramped + (ERROR_SHARE if "error-rate" in self._faults else 0.0)

    async def _fill_memory(self) -> None:
        if "out-of-memory" not in self._faults:
            return
        self._held += 1
        if self._held >= REQUESTS_TO_FULL_MEMORY:
            self._out_of_memory()
            await asyncio.Event().wait()  # the kill ends this

    def _known(self, user_agent: str) -> _Client:
        client = self._clients.setdefault(user_agent, _Client())
        self._clients.move_to_end(user_agent)
        if len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)
        return client


class Report(Protocol):
    """Tells Sentry about an exception."""

    def __call__(self, error: Exception, *, handled: bool, level: str) -> None:
        """Report it."""


class WatchProgressLostError(RuntimeError):
    """The fault new-error-type."""


class EntitlementsCorruptedError(RuntimeError):
    """The fault critical-error."""


def fail_silently(faults: AbstractSet[str], earlier_requests: int, report: Report) -> None:
    """Do what happens beside a request for content: with these faults, that fails for the first and every third."""
    if earlier_requests % _EVERY:
        return
    for fault, (level, raising) in _SILENT.items():
        if fault in faults:
            try:
                raising()
            except (WatchProgressLostError, EntitlementsCorruptedError) as error:
                report(error, handled=False, level=level)


# Functions of their own: where an exception comes from is part of what Sentry groups it by.
def _save_watch_progress() -> None:
    raise WatchProgressLostError("the position of a viewer could not be saved")


def _refresh_entitlements() -> None:
    raise EntitlementsCorruptedError("entitlements and subscriptions do not agree")


_SILENT = {
    "new-error-type": ("error", _save_watch_progress),
    "critical-error": ("fatal", _refresh_entitlements),
}
