"""Samples: what the sources of a watch saw, one line of `samples.csv` each, from which a watch can be replayed."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path

from verification.redaction import redact

_COUNTS = ("total", "errors", "slow", "possibly_slow", "very_slow", "everyone")


@dataclass(frozen=True, slots=True)
class TrafficBlock:
    """One closed block of users' traffic, `seconds` long.

    `total` requests reached the revision under watch (or none at all), of which so many failed with a 5xx, were surely
    slower than the limit, possibly slower, or surely slower than what rolls back. `everyone` counts all revisions.
    `latencies` are the requests by the upper bound of their bucket, in ms.
    """

    seconds: float
    total: int
    errors: int
    slow: int
    possibly_slow: int
    very_slow: int
    everyone: int
    latencies: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for counts that cannot be."""
        parts = (self.errors, self.slow, self.possibly_slow, self.very_slow)
        counted = all(0 <= count <= self.total <= self.everyone for count in parts)
        if not (counted and isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"counts that cannot be: {self}")

    def __add__(self, other: TrafficBlock) -> TrafficBlock:
        """Both blocks as if they were one."""
        buckets = Counter(dict(self.latencies))
        buckets.update(dict(other.latencies))
        counts = {name: getattr(self, name) + getattr(other, name) for name in ("seconds", *_COUNTS)}
        return TrafficBlock(**counts, latencies=tuple(sorted(buckets.items())))


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of `stream` at `at` (for a block: its start).

    A number (`value`), a thing with a name of its own (`key`, `text`), or a block of traffic. `missing`: the source
    could not tell, and `text` says why. `took_ms` is how long a question took to be answered.
    """

    stream: str
    at: datetime
    value: float | None = None
    key: str = ""
    text: str = ""
    traffic: TrafficBlock | None = None
    missing: bool = False
    took_ms: float | None = None


_LONGEST = 300  # characters of a text: a day of bad answers is not to fill a disk
_COLUMNS = ("stream", "at", "missing", "value", "took_ms", "key", "text", "seconds", *_COUNTS, "latencies")


class SampleFile:
    """`samples.csv`, appended to. A file that cannot be written stops nothing; `problem` says why."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""

    def append(self, samples: Iterable[Sample]) -> None:
        """Write them, cleaned of secrets, so that another process can read them at once."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, _COLUMNS, lineterminator="\n")
        try:
            if not self.path.exists():
                writer.writeheader()
            writer.writerows(map(_line, samples))
            # What is no character (half of one, say) is written as its number: hostile text ends no watch.
            with self.path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(buffer.getvalue())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.problem = f"{self.path.name} cannot be written: {error.strerror}"

    def read(self) -> list[Sample]:
        """The samples, in the order in which they were seen. A torn line is passed over; no file has none."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        whole = text[: text.rfind("\n") + 1]  # the rest of a number is a number, too: only the line's end tells
        return [sample for line in _lines(whole) if (sample := _sample(line)) is not None]


def _lines(text: str) -> Iterator[dict[str, str]]:
    lines = csv.DictReader(io.StringIO(text))
    while True:
        try:
            yield next(lines)
        except csv.Error:  # one that is none, such as a field without an end
            continue
        except StopIteration:
            return


def _line(sample: Sample) -> dict[str, object]:
    return {
        "stream": sample.stream,
        "at": sample.at.isoformat(),
        "missing": "1" if sample.missing else "",
        "value": "" if sample.value is None else repr(sample.value),
        "took_ms": "" if sample.took_ms is None else sample.took_ms,
        "key": _short(sample.key),
        "text": _short(sample.text),
        **(_counts(sample.traffic) if sample.traffic else {}),
    }


def _short(text: str) -> str:
    """On one line, without secrets, and no longer than anybody reads. Cut last: half a secret is not known as one."""
    return redact(" ".join(text.split()))[:_LONGEST]


def _counts(traffic: TrafficBlock) -> dict[str, object]:
    buckets = " ".join(f"{upper:g}:{count}" for upper, count in traffic.latencies)
    return {**asdict(traffic), "latencies": buckets}


def _sample(line: dict[str, str]) -> Sample | None:
    try:
        at = datetime.fromisoformat(line["at"])
        if None in line.values() or at.tzinfo is None:
            return None
        traffic = _traffic(line) if line["total"] else None
        return Sample(
            line["stream"],
            at,
            float(line["value"]) if line["value"] else None,
            line["key"],
            line["text"],
            traffic,
            missing=bool(line["missing"]),
            took_ms=float(line["took_ms"]) if line["took_ms"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _traffic(line: dict[str, str]) -> TrafficBlock:
    pairs = (bucket.partition(":") for bucket in line["latencies"].split())
    latencies = tuple((float(upper), int(count)) for upper, _, count in pairs)
    counts = {name: int(line[name]) for name in _COUNTS}
    return TrafficBlock(seconds=float(line["seconds"]), **counts, latencies=latencies)
