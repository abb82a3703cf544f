"""What a source of a watch is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from verification.watch.samples import Sample


class Source(Protocol):
    """A system that is asked every `every` seconds. `streams` are told as missing where it cannot answer."""

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of its samples."""
        ...

    @property
    def every(self) -> float:
        """Seconds between two questions."""
        ...

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        """What there is to tell at `at`, oldest first. Raises VerificationError."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class BlockSource(Source, Protocol):
    """A source of traffic: it tells of each block once, in order, as soon as it is closed and can be read."""

    @property
    def stream(self) -> str:
        """The stream of its blocks. It tells of those that are missing itself."""
        ...

    @property
    def block(self) -> float:
        """Seconds of a block."""
        ...

    @property
    def delay(self) -> float:
        """Seconds after its end until a block can be read."""
        ...

    def skip(self, until: datetime) -> None:
        """Go on after `until`: what came before was told by an earlier watch."""
        ...

    def covers(self, until: datetime) -> bool:
        """Whether every block that ends by `until` was told."""
        ...

    def give_up(self, until: datetime) -> Iterable[Sample]:
        """The blocks that end by `until` and were not told, as missing."""
        ...
