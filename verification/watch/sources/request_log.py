"""Users' requests from Cloud Logging's request log, in blocks of the watch's own grid."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from verification.clients.google.cloud_logging import CloudLogging, LoggedRequest, LoggedRequests
from verification.errors import VerificationError
from verification.watch.criteria.traffic import LOG
from verification.watch.samples import Sample, TrafficBlock

OWN = "deployment-verification/"  # how the suite's own questions name themselves: they are no users
_GROWTH = 1.1  # of the buckets that latencies are noted in: a percentile is known to a tenth
_OVERLAP = 6  # blocks that are read again: a slow request has its line only when it has ended
_OVERDUE = 6  # blocks after which one that could not be read is missing
_MOST_AT_ONCE = 60  # blocks in one question
_UNREADABLE = 0.01  # of all lines; more, and their number may not be believed


class RequestLogSource:
    """What users asked `revision`, from `start` on. `limit` and `severe` are latencies in seconds.

    A block is told `delay` seconds after its end; lines that appear later count in the block that is told then.
    Requests that reached no revision count, too: to users it is the service that refused them. Where the newest blocks
    have no line at all, not even of the suite's own questions, the log has not got there yet: that is no lack of users.
    """

    stream = LOG
    streams: tuple[str, ...] = ()

    def __init__(
        self,
        logging: CloudLogging,
        revision: str,
        start: datetime,
        *,
        block: float,
        delay: float,
        limit: float,
        severe: float,
    ) -> None:
        self.every = self.block = block
        self.delay = delay
        self._logging, self._revision = logging, revision
        self._block, self._delay = timedelta(seconds=block), timedelta(seconds=delay)
        self._limit, self._severe = limit, severe
        self._start = self._next = start
        self._known: dict[str, datetime] = {}  # lines that were counted, by id, for as long as they can be met again

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """See Source."""
        count = min(int((at - self._delay - self._next) / self._block), _MOST_AT_ONCE)
        if count < 1:
            return []
        overdue = at - self._delay - _OVERDUE * self._block
        try:
            log, count = self._read(count)
        except VerificationError as problem:
            missing = [*self._missing(overdue, problem.cause)]
            if not missing:
                raise
            return missing
        if not log.complete or log.unreadable > _UNREADABLE * (len(log.requests) + log.unreadable):
            why = f"{log.unreadable} lines are unreadable" if log.complete else "it has too many lines"
            return [*self._missing(self._next + count * self._block, why)]
        overdue = min(overdue, self._next + count * self._block)
        told = [*self._told(log, self._reached(log, count)), *self._missing(overdue, "it has no lines yet")]
        oldest = self._next - (_OVERLAP + 1) * self._block
        self._known = {name: seen for name, seen in self._known.items() if seen >= oldest}
        return told

    def skip(self, until: datetime) -> None:
        """See Blocks."""
        self._start = self._next = until

    def covers(self, until: datetime) -> bool:
        """See Blocks."""
        return self._next + self._block > until

    def give_up(self, until: datetime) -> Iterable[Sample]:
        """See Blocks."""
        return [*self._missing(until, "it was not read in time")]

    def close(self) -> None:
        """See Source. The client belongs to the run."""

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
        newest = max((one.at for one in log.requests), default=self._next - self._block)
        return min(int((newest - self._next) / self._block) + 1, count) if newest >= self._next else 0

    def _told(self, log: LoggedRequests, count: int) -> Iterator[Sample]:
        blocks: list[list[LoggedRequest]] = [[] for _ in range(count)]
        end = self._next + count * self._block
        lines = [one for one in log.requests if count and one.at < end and one.insert_id not in self._known]
        fresh = {one.insert_id: one for one in lines}
        self._known.update((name, one.at) for name, one in fresh.items())
        for one in fresh.values():
            if not one.user_agent.startswith(OWN):
                blocks[min(max(int((one.at - self._next) / self._block), 0), count - 1)].append(one)
        for block in blocks:
            yield Sample(LOG, self._next, traffic=self._counted(block))
            self._next += self._block

    def _counted(self, requests: list[LoggedRequest]) -> TrafficBlock:
        ours = [one for one in requests if one.revision in {self._revision, ""}]
        known = [one.latency_s for one in ours if one.latency_s is not None]
        unknown = len(ours) - len(known)  # of those nobody knows whether they were slow
        slow = sum(one >= self._limit for one in known)
        return TrafficBlock(
            seconds=self._block.total_seconds(),
            total=len(ours),
            errors=sum(one.status >= 500 for one in ours),
            slow=slow,
            possibly_slow=slow + unknown,
            very_slow=sum(one >= self._severe for one in known),
            everyone=len(requests),
            latencies=tuple(sorted(Counter(map(_bucket, known)).items())),
        )

    def _missing(self, until: datetime, why: str) -> Iterator[Sample]:
        while self._next + self._block <= until:
            yield Sample(LOG, self._next, missing=True, text=f"the request log could not be read: {why}")
            self._next += self._block


def _bucket(seconds: float) -> float:
    """The upper bound in ms of the bucket that holds a latency."""
    milliseconds = max(seconds * 1000, 1.0)
    return float(f"{_GROWTH ** math.ceil(math.log(milliseconds, _GROWTH) - 1e-9):.4g}")
