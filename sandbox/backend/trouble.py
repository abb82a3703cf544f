"""What strikes some of the API requests and spares others: failures, delays, and a memory that fills up.

Whom it strikes is counted, not drawn, and each client (by its User-Agent) is spared at first: somebody who looks in
with a few requests finds nothing wrong, the many users do, and two runs see the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.faults import REQUESTS_TO_FULL_MEMORY, SPARED, Faults

ERROR_SHARE = 0.2
RAMP_SHARE, RAMP_SECONDS = 0.3, 20.0
LONG_SECONDS, SHORT_SECONDS = 2.5, 0.7
_CLIENTS = 256  # that are remembered; any more are strangers again


@dataclass(slots=True)
class _Client:
    requests: int = 0
    due: float = 0.0  # failures that are owed to this client


class Trouble:
    """The trouble that `faults` make in one container; `out_of_memory` has it killed."""

    def __init__(self, faults: Faults, out_of_memory: Callable[[], None]) -> None:
        self._faults = faults
        self._out_of_memory = out_of_memory
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._held = 0  # requests whose memory was not given back

    async def befall(self, user_agent: str) -> bool:
        """Delay an API request as the faults want it; True when it must fail. It may never return."""
        await self._fill_memory()
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
