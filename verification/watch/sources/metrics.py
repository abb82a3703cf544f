"""What Cloud Monitoring has: traffic by its own sampling periods, and how many instances there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from verification.clients.google.cloud_monitoring import CloudMonitoring, Histogram, RevisionTraffic
from verification.errors import VerificationError
from verification.watch.criteria.gauges import INSTANCES
from verification.watch.criteria.traffic import METRICS
from verification.watch.samples import Sample, TrafficBlock

_OVERDUE = 6  # periods after which one that could not be read is missing
_MOST_AT_ONCE = 60


class MetricsSource:
    """The traffic of `revision` from `start` on, in blocks of one sampling period, told once it can be seen.

    `limit` and `severe` are latencies in ms. The suite's own questions are among the requests: they cannot be told
    apart here. What reaches no revision is not. Because they are, newest periods without any point are ones that cannot
    be seen yet, whatever the delay was to be: that is no lack of users.
    """

    stream = METRICS
    streams: tuple[str, ...] = ()

    def __init__(
        self,
        monitoring: CloudMonitoring,
        revision: str,
        start: datetime,
        *,
        period: float,
        delay: float,
        every: float,
        limit: float,
        severe: float,
    ) -> None:
        self.every, self.block, self.delay = max(every, period / 2), period, delay
        self._monitoring, self._revision = monitoring, revision
        self._period, self._delay = timedelta(seconds=period), timedelta(seconds=delay)
        self._limit, self._severe = limit, severe
        self._next = _aligned(start, period)  # the period in which the watch began is not wholly its own

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """See Source."""
        count = min(int((at - self._delay - self._next) / self._period), _MOST_AT_ONCE)
        if count < 1:
            return []
        overdue = at - self._delay - _OVERDUE * self._period
        try:
            points = self._monitoring.traffic(self._next, self._next + count * self._period)
        except VerificationError as problem:
            missing = [*self._missing(overdue, problem.cause)]
            if not missing:
                raise
            return missing
        overdue = min(overdue, self._next + count * self._period)
        blocks = self._blocks(points, count)
        while blocks and not blocks[-1]:
            blocks.pop()
        return [*self._told(blocks), *self._missing(overdue, "it has no points yet")]

    def skip(self, until: datetime) -> None:
        """See Blocks."""
        self._next = max(self._next, until)

    def covers(self, until: datetime) -> bool:
        """See Blocks."""
        return self._next + self._period > until

    def give_up(self, until: datetime) -> Iterable[Sample]:
        """See Blocks."""
        return [*self._missing(until, "it was not read in time")]

    def close(self) -> None:
        """See Source. The client belongs to the run."""

    def _blocks(self, points: Iterable[RevisionTraffic], count: int) -> list[list[RevisionTraffic]]:
        blocks: list[list[RevisionTraffic]] = [[] for _ in range(count)]
        for one in points:
            # A point belongs where it ends; a hair before, so that the end of a block is its own.
            place = int((one.end - self._next - timedelta(microseconds=1)) / self._period)
            if one.end > self._next and place < count:
                blocks[place].append(one)
        return blocks

    def _told(self, blocks: list[list[RevisionTraffic]]) -> Iterator[Sample]:
        for block in blocks:
            yield Sample(METRICS, self._next, traffic=self._counted(block))
            self._next += self._period

    def _counted(self, points: list[RevisionTraffic]) -> TrafficBlock:
        ours = [one for one in points if one.revision == self._revision]
        total = sum(one.requests for one in ours)
        found = Histogram()
        for one in ours:
            found += one.latencies
        # Requests whose latency is not among the buckets are not known to be fast.
        unknown = max(total - found.total, 0)
        return TrafficBlock(
            seconds=self._period.total_seconds(),
            total=total,
            errors=sum(one.errors for one in ours),
            slow=min(found.surely_above(self._limit), total),
            possibly_slow=min(found.possibly_above(self._limit) + unknown, total),
            very_slow=min(found.surely_above(self._severe), total),
            everyone=sum(one.requests for one in points),
            latencies=found.by_upper_bound,
        )

    def _missing(self, until: datetime, why: str) -> Iterator[Sample]:
        while self._next + self._period <= until:
            yield Sample(METRICS, self._next, missing=True, text=f"Cloud Monitoring could not be read: {why}")
            self._next += self._period


class InstanceSource:
    """How many instances there are, as far as can be seen yet."""

    streams = (INSTANCES,)

    def __init__(self, monitoring: CloudMonitoring, start: datetime, *, every: float) -> None:
        self.every = every
        self._monitoring = monitoring
        self._told_until = start

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """See Source."""
        counts = self._monitoring.instances(self._told_until, at)
        fresh = [(when, count) for when, count in counts if when > self._told_until]
        if fresh:
            self._told_until = fresh[-1][0]
        return [Sample(INSTANCES, when, float(count)) for when, count in fresh]

    def close(self) -> None:
        """See Source. The client belongs to the run."""


def _aligned(moment: datetime, period: float) -> datetime:
    seconds = moment.timestamp()
    return datetime.fromtimestamp(-(-seconds // period) * period, UTC)
