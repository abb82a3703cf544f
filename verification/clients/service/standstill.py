"""Notice when this process stood still itself: stopped, paused with its machine, suspended, or starved.

An answer whose question was open meanwhile tells nothing: its time ran out, or its connection was given up, while
nobody was there to read. The heartbeat runs on the loop that asks, so whatever keeps that loop from running is noticed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_EVERY = 0.1
_LATE = 0.1  # as late as a busy machine is: less is no standstill
_SLOWED = 4  # times, is work that others take the processor from
_SHARE = 0.2
_LEAST, _MOST = 0.25, 1.0


def tolerated(timeout: float) -> float:
    """For how long, in seconds, a question may stand still that has `timeout` for its answer.

    A fifth of its time leaves the service the rest, of which a good one needs little; a second is what a peer's own
    limits forgive, however long ours are; and below a quarter of one nobody can tell a standstill from a busy machine.
    """
    return max(_LEAST, min(_MOST, _SHARE * timeout))


class Heartbeat:
    """Counts for how long its loop has stood still. For the loop's own thread only.

    By the clock, monotonic or wall, that went further: the monotonic one stands still with a suspended machine. What
    the loop's own work took is no standstill, be it slow: an answer that is laborious to read is the service's doing.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clocks = (monotonic, wall, worked)
        self._last = self._now()
        self._total = 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(_EVERY)

    def beat(self) -> None:
        """Note how late this beat is."""
        self._total = self.stood_still()
        self._last = self._now()

    def stood_still(self) -> float:
        """Seconds so far, those before a beat that is overdue included: on waking up, others may come before it."""
        monotonic, wall, worked = (now - last for now, last in zip(self._now(), self._last, strict=True))
        late = max(monotonic, wall) - _SLOWED * worked - _EVERY
        return self._total + (late if late > _LATE else 0.0)

    def _now(self) -> tuple[float, ...]:
        return tuple(clock() for clock in self._clocks)


async def within(seconds: float, heart: Heartbeat, ask: Callable[[], Coroutine[Any, Any, T]], *, patient: bool) -> T:
    """`ask()`, in so many seconds; `patient`: as many again after a standstill. Raises TimeoutError."""
    before = heart.stood_still()
    asking = asyncio.create_task(ask())
    try:
        done, _ = await asyncio.wait({asking}, timeout=seconds)
        if not done and patient and heart.stood_still() - before > tolerated(seconds):
            done, _ = await asyncio.wait({asking}, timeout=seconds)
        if not done:
            raise TimeoutError
        return asking.result()
    finally:
        asking.cancel()
        await asyncio.wait({asking})
