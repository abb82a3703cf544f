"""What a source of a watch is, and what sources of traffic share: blocks that are told once, in order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from verification.errors import VerificationError
from verification.watch.samples import Sample, TrafficBlock

_OVERDUE = 6  # blocks after which one that could not be read is missing
_MOST_AT_ONCE = 60  # blocks in one question


class Source(Protocol):
    """A system that is asked every `every` seconds. `streams` are told as missing where it cannot answer."""

    every: float
    streams: tuple[str, ...]

    @abstractmethod
    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """The samples that have come by `at` since the last call, oldest first. Raises VerificationError."""
        ...

    def close(self) -> None:
        """Close connections of its own; those of a client that belongs to the run stay open."""
        return


@dataclass(frozen=True, slots=True)
class BlocksRead:
    """The blocks that an answer has told, of those `asked` for, the oldest first.

    `unusable`: why the answer cannot be believed; then all that were asked for are missing.
    """

    blocks: Sequence[TrafficBlock]
    asked: int
    unusable: str = ""


class BlockSource(Source):
    """A source of traffic: it tells of each block of its grid once, in order, as soon as it is over and can be read.

    `block` is the seconds of a block, `delay` the seconds after its end until it can be read. Blocks that could not be
    read for a while are told as missing, here and not by whoever asks: `streams` is empty. `called` is the system's
    name in the reason for that, `nothing_yet` the reason where it answers, and has not got as far.
    """

    def __init__(
        self, stream: str, start: datetime, *, block: float, delay: float, every: float, called: str, nothing_yet: str
    ) -> None:
        self.stream, self.streams = stream, ()
        self.block, self.delay, self.every = block, delay, every
        self._block, self._delay = timedelta(seconds=block), timedelta(seconds=delay)
        self._next = start  # the start of the first block that was not told
        self._called, self._nothing_yet = called, nothing_yet

    @abstractmethod
    def _read_blocks(self, count: int) -> BlocksRead:
        """Read the next `count` blocks, or fewer. Raises VerificationError."""

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """The blocks that can be read at `at`, and those that are overdue as missing.

        Raises VerificationError where nothing can be read, as long as nothing is overdue.
        """
        count = min(int((at - self._delay - self._next) / self._block), _MOST_AT_ONCE)
        if count < 1:
            return []
        overdue = at - self._delay - _OVERDUE * self._block
        try:
            read = self._read_blocks(count)
        except VerificationError as problem:
            missing = list(self._missing(overdue, problem.cause))
            if not missing:
                raise
            return missing
        end = self._next + read.asked * self._block
        told = list(self._told(read.blocks))
        missing_until = end if read.unusable else min(overdue, end)
        return [*told, *self._missing(missing_until, read.unusable or self._nothing_yet)]

    def skip(self, until: datetime) -> None:
        """Go on after `until`: what came before was told by an earlier watch."""
        self._next = max(self._next, until)

    def covers(self, until: datetime) -> bool:
        """Whether every block that ends by `until` was told."""
        return self._next + self._block > until

    def give_up(self, until: datetime) -> Iterable[Sample]:
        """The blocks that end by `until` and were not told, as missing."""
        return list(self._missing(until, "it was not read in time"))

    def _told(self, blocks: Iterable[TrafficBlock]) -> Iterator[Sample]:
        for traffic in blocks:
            yield Sample(self.stream, self._next, traffic=traffic)
            self._next += self._block

    def _missing(self, until: datetime, why: str) -> Iterator[Sample]:
        while not self.covers(until):
            yield Sample(self.stream, self._next, missing=True, text=f"{self._called} could not be read: {why}")
            self._next += self._block
