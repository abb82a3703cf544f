"""Users' requests from Cloud Logging's request log, in blocks of the watch's own grid."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest, LoggedRequests
from verification.settings.monitor import Monitor
from verification.watch.criteria.traffic import LOG
from verification.watch.samples import TrafficBlock
from verification.watch.sources.source import BlockSource, BlocksRead

OWN = "deployment-verification/"  # how the suite's own questions name themselves: they are no users
_GROWTH = 1.1  # of the buckets that latencies are noted in: a percentile is known to a tenth
_OVERLAP = 6  # blocks that are read again: a slow request has its line only when it has ended
_UNREADABLE = 0.01  # of all lines; more, and their number may not be believed


class RequestLogSource(BlockSource):
    """What users asked `revision`, from `start` on. `limit` is a latency in seconds: what takes longer is slow.

    A block is told `monitor.log_delay` seconds after its end; lines that appear later count in the one told then.
    Requests that reached no revision count, too: to users it is the service that refused them. Where the newest blocks
    have no line at all, not even of the suite's own questions, the log has not got there yet: that is no lack of users.
    """

    def __init__(self, logging: CloudLogging, revision: str, start: datetime, monitor: Monitor, limit: float) -> None:
        super().__init__(
            LOG,
            start,
            block=monitor.block,
            delay=monitor.log_delay,
            every=monitor.block,
            called="the request log",
            nothing_yet="it has no lines yet",
        )
        self._logging, self._revision = logging, revision
        self._limit, self._severe = limit, monitor.roll_back_at.p95_latency
        self._start = start
        self._known: dict[str, datetime] = {}  # lines that were counted, by id, for as long as they can be met again

    def skip(self, until: datetime) -> None:
        """Go on after `until`, and read no line from before that."""
        super().skip(until)
        self._start = until

    def _read_blocks(self, count: int) -> BlocksRead:
        """The blocks that the log has got to, by its newest line."""
        log, count = self._read(count)
        if not log.complete:
            return BlocksRead((), count, "it has too many lines")
        if log.unreadable > _UNREADABLE * (len(log.requests) + log.unreadable):
            return BlocksRead((), count, f"{log.unreadable} lines are unreadable")
        blocks = self._blocks(log, self._reached(log, count))
        oldest = self._next + (len(blocks) - _OVERLAP - 1) * self._block
        self._known = {line: at for line, at in self._known.items() if at >= oldest}
        return BlocksRead([self._counted(block) for block in blocks], count)

    def _read(self, count: int) -> tuple[LoggedRequests, int]:
        """The lines of the next `count` blocks, or of fewer where they are more than can be asked for at once."""
        while True:
            since = max(self._start, self._next - _OVERLAP * self._block)
            log = self._logging.requests(since, self._next + count * self._block)
            if log.complete or count == 1:
                return log, count
            count //= 2

    def _reached(self, log: LoggedRequests, count: int) -> int:
        """How many of the next `count` blocks the log has got to, by its newest line."""
        newest = max((line.at for line in log.requests), default=self._next - self._block)
        return min(int((newest - self._next) / self._block) + 1, count) if newest >= self._next else 0

    def _blocks(self, log: LoggedRequests, count: int) -> list[list[LoggedRequest]]:
        """Users' requests that were not counted yet, by block; late lines are in the first one."""
        blocks: list[list[LoggedRequest]] = [[] for _ in range(count)]
        end = self._next + count * self._block
        lines = [line for line in log.requests if count and line.at < end and line.insert_id not in self._known]
        fresh = {line.insert_id: line for line in lines}
        self._known.update((name, line.at) for name, line in fresh.items())
        for line in fresh.values():
            if not line.user_agent.startswith(OWN):
                blocks[min(max(int((line.at - self._next) / self._block), 0), count - 1)].append(line)
        return blocks

    def _counted(self, requests: list[LoggedRequest]) -> TrafficBlock:
        ours = [request for request in requests if request.revision in {self._revision, ""}]
        known = [request.latency_s for request in ours if request.latency_s is not None]
        unknown = len(ours) - len(known)  # of those nobody knows whether they were slow
        slow = sum(latency >= self._limit for latency in known)
        return TrafficBlock(
            seconds=self._block.total_seconds(),
            total=len(ours),
            errors=sum(request.status >= 500 or request.for_want_of_an_instance for request in ours),
            slow=slow,
            possibly_slow=slow + unknown,
            very_slow=sum(latency >= self._severe for latency in known),
            everyone=len(requests),
            latencies=tuple(sorted(Counter(map(_bucket, known)).items())),
        )


def _bucket(seconds: float) -> float:
    """The upper bound in ms of the bucket that holds a latency."""
    milliseconds = max(seconds * 1000, 1.0)
    return float(f"{_GROWTH ** math.ceil(math.log(milliseconds, _GROWTH) - 1e-9):.4g}")
