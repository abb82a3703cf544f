"""What Cloud Monitoring has: traffic by its own sampling periods, and how many instances there are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from verification.clients.google.cloud_monitoring import SYSTEM, CloudMonitoring, Histogram, RevisionTraffic
from verification.settings.monitor import Monitor
from verification.watch.criteria.gauges import INSTANCES
from verification.watch.criteria.traffic import METRICS
from verification.watch.samples import Sample, TrafficBlock
from verification.watch.sources.source import BlockSource, BlocksRead, Source


class MetricsSource(BlockSource):
    """The traffic of `revision` from `start` on, in blocks of one sampling period, told once it can be seen.

    `pace` is the seconds of a period, and those after its end until it can be seen; `limit` is a latency in seconds:
    what takes longer is slow. The suite's own questions are among the requests: they cannot be told apart here. What
    reaches no revision is not. Because they are, newest periods without any point are ones that cannot be seen yet,
    whatever the delay was to be: that is no lack of users.
    """

    def __init__(
        self,
        monitoring: CloudMonitoring,
        revision: str,
        start: datetime,
        pace: tuple[float, float],
        monitor: Monitor,
        limit: float,
    ) -> None:
        period, delay = pace
        super().__init__(
            METRICS,
            _aligned(start, period),  # the period in which the watch began is not wholly its own
            block=period,
            delay=delay,
            every=max(monitor.observers_every, period / 2),
            called=SYSTEM,
            nothing_yet="it has no points yet",
        )
        self._monitoring, self._revision = monitoring, revision
        self._limit_ms, self._severe_ms = limit * 1000, monitor.roll_back_at.p95_latency * 1000

    def _read_blocks(self, count: int) -> BlocksRead:
        """The periods up to the newest that has a point."""
        points = self._monitoring.traffic(self._next, self._next + count * self._block)
        periods: list[list[RevisionTraffic]] = [[] for _ in range(count)]
        for point in points:
            # A point belongs where it ends; a hair before, so that the end of a block is its own.
            place = int((point.end - self._next - timedelta(microseconds=1)) / self._block)
            if point.end > self._next and place < count:
                periods[place].append(point)
        while periods and not periods[-1]:
            periods.pop()
        return BlocksRead([self._counted(period) for period in periods], count)

    def _counted(self, points: list[RevisionTraffic]) -> TrafficBlock:
        ours = [point for point in points if point.revision == self._revision]
        total = sum(point.requests for point in ours)
        found = Histogram()
        for point in ours:
            found += point.latencies
        # Requests whose latency is not among the buckets are not known to be fast.
        unknown = max(total - found.total, 0)
        return TrafficBlock(
            seconds=self.block,
            total=total,
            errors=sum(point.errors for point in ours),
            slow=min(found.surely_above(self._limit_ms), total),
            possibly_slow=min(found.possibly_above(self._limit_ms) + unknown, total),
            very_slow=min(found.surely_above(self._severe_ms), total),
            everyone=sum(point.requests for point in points),
            latencies=found.by_upper_bound,
        )


class InstanceSource(Source):
    """How many instances there are, as far as can be seen yet."""

    streams = (INSTANCES,)

    def __init__(self, monitoring: CloudMonitoring, start: datetime, *, every: float) -> None:
        self.every = every
        self._monitoring = monitoring
        self._told_until = start

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """The counts that can be seen since the last call."""
        counts = self._monitoring.instances(self._told_until, at)
        fresh = [(when, count) for when, count in counts if when > self._told_until]
        if fresh:
            self._told_until = fresh[-1][0]
        return [Sample(INSTANCES, when, float(count)) for when, count in fresh]


def _aligned(moment: datetime, period: float) -> datetime:
    seconds = moment.timestamp()
    return datetime.fromtimestamp(-(-seconds // period) * period, UTC)
