"""Metrics of a service's traffic: requests and latencies by revision and sampling period, instances."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

# Exponential buckets: bucket i ends at GROWTH ** i milliseconds; the first holds what is below 1 ms.
GROWTH, FINITE_BUCKETS = 1.4, 66
_KEPT = 20_000  # points: at one a second and two services that is most of a day


@dataclass(slots=True)
class Latencies:
    """A distribution, as Cloud Monitoring keeps one."""

    count: int = 0
    buckets: Counter[int] = field(default_factory=Counter)
    total_ms: float = 0.0
    squares_ms: float = 0.0

    def add(self, milliseconds: float, count: int) -> None:
        """Note `count` requests alike."""
        self.count += count
        self.buckets[bucket_of(milliseconds)] += count
        self.total_ms += milliseconds * count
        self.squares_ms += milliseconds**2 * count


@dataclass(slots=True)
class TrafficPoint:
    """The requests of one revision from `start` to `end` (seconds since the epoch), by response code."""

    service: str
    revision: str
    start: float
    end: float
    latencies: dict[int, Latencies] = field(default_factory=dict)

    def add(self, status: int, milliseconds: float, count: int = 1) -> None:
        """Note `count` requests alike."""
        if count:
            self.latencies.setdefault(status, Latencies()).add(milliseconds, count)


def bucket_of(milliseconds: float) -> int:
    """The number of the bucket that holds a latency; the last takes everything above."""
    if milliseconds < 1:
        return 0
    return min(1 + int(math.log(milliseconds, GROWTH) + 1e-9), FINITE_BUCKETS + 1)


class TrafficLog:
    """Points of all services. `period` is how long one lasts, `delay` how long it stays invisible after its end."""

    def __init__(self, period: float, delay: float) -> None:
        self.period, self.delay = period, delay
        self._points: deque[TrafficPoint] = deque(maxlen=_KEPT)
        self._open: dict[tuple[str, str], TrafficPoint] = {}

    def add(self, service: str, revision: str, status: int, seconds: float) -> None:
        """Note a request that a revision answered now."""
        self._current(service, revision, time.time()).add(status, seconds * 1000)

    def idle(self, service: str, revision: str) -> None:
        """Note that a revision has an instance now, whether it is asked or not."""
        self._current(service, revision, time.time())

    def put(self, point: TrafficPoint) -> None:
        """Add a point of the past."""
        self._points.append(point)

    def visible(self, now: float) -> Iterator[TrafficPoint]:
        """The points that have ended and can be seen at `now`, oldest first."""
        for point in self._points:
            if point.end + self.delay <= now and point.end <= now:
                yield point

    def _current(self, service: str, revision: str, now: float) -> TrafficPoint:
        start = now - now % self.period
        point = self._open.get((service, revision))
        if point is None or point.start != start:
            point = self._open[service, revision] = TrafficPoint(service, revision, start, start + self.period)
            self._points.append(point)
        return point


def seed_past(log: TrafficLog, service: str, revision: str, rpm: int, minutes: int = 60) -> None:
    """Give a service a past of `minutes` at `rpm` requests a minute: 0.1 % errors, 95 % within about 120 ms."""
    if rpm <= 0:
        return
    now = time.time()
    last = now - now % log.period - log.period
    for back in range(minutes, 0, -1):
        end = last - (back - 1) * 60
        point = TrafficPoint(service, revision, end - 60, end)
        # A wave of one part in ten, as traffic has; always the same, so that two runs see the same past.
        total = round(rpm * (1 + 0.1 * math.sin(back / 5)))
        failed = total * back // 1000 - total * (back - 1) // 1000
        slow, usual = total // 25, total - total // 25 - failed
        point.add(500, 40.0, failed)
        point.add(200, 150.0, slow)
        point.add(200, 25.0, usual // 2)
        point.add(200, 60.0, usual - usual // 2)
        log.put(point)
