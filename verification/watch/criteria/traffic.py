"""Users' requests under watch: how many fail, how many are slow, and whether they come at all.

Both sources (the request log, and Cloud Monitoring) are judged side by side, each by itself. The first choice decides,
unless too much of it is missing and the other one saw more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from verification.judge.judgement import Finding
from verification.series import RowState, Series, WatchRow
from verification.verdict import Measurement, Verdict, now
from verification.watch.criteria.standing import Standing
from verification.watch.samples import Sample, TrafficBlock

LOG, METRICS = "traffic/log", "traffic/metrics"
NAMES = {LOG: "Cloud Logging, request log", METRICS: "Cloud Monitoring"}
_SHOWN = 30
_TOO_MUCH = 0.2  # of the blocks missing: then the other source is asked
_P95 = 0.95


class BlockJudge(Protocol):
    """A judge of one stream of blocks, at one moment."""

    def after(self, traffic: TrafficBlock | None) -> BlockJudge:
        """The judge after one more block; None: it is missing."""
        ...

    @property
    def so_far(self) -> Finding:
        """What is certain so far."""
        ...

    def at_end(self) -> Finding:
        """The verdict now that nothing more comes."""
        ...


@dataclass(slots=True)
class _StreamState:
    """One source's blocks so far, and the judge of them."""

    judge: BlockJudge
    points: list[tuple[datetime, float | None]] = field(default_factory=list)
    latencies: Counter[float] = field(default_factory=Counter)
    seconds: float = 0.0
    total: int = 0
    errors: int = 0
    everyone: int = 0
    missing: int = 0

    @property
    def blind(self) -> float:
        """The share of blocks that are missing; all of them where there is none."""
        return self.missing / len(self.points) if self.points else 1.0


class TrafficFigure(Protocol):
    """What of the traffic a criterion is about."""

    def point(self, traffic: TrafficBlock) -> float | None:
        """The value of one block, for the chart; None where it has none."""
        ...

    def value(self, stream: _StreamState) -> float | None:
        """The value of all blocks so far."""
        ...


class ErrorShare:
    """The share of requests that fail, in percent."""

    def point(self, traffic: TrafficBlock) -> float | None:
        """See TrafficFigure."""
        return traffic.errors / traffic.total * 100 if traffic.total else None

    def value(self, stream: _StreamState) -> float | None:
        """See TrafficFigure."""
        return round(stream.errors / stream.total * 100, 3) if stream.total else None


class P95Latency:
    """The 95th percentile of the latency, in ms: the upper bound of its bucket."""

    def point(self, traffic: TrafficBlock) -> float | None:
        """See TrafficFigure."""
        return percentile(dict(traffic.latencies), _P95)

    def value(self, stream: _StreamState) -> float | None:
        """See TrafficFigure."""
        return percentile(stream.latencies, _P95)


@dataclass(frozen=True, slots=True)
class ShareOfBaseline:
    """Requests as a share of what the baseline leads to expect, in percent."""

    rpm: float

    def point(self, traffic: TrafficBlock) -> float | None:
        """See TrafficFigure."""
        return self._share(traffic.everyone, traffic.seconds)

    def value(self, stream: _StreamState) -> float | None:
        """See TrafficFigure."""
        return self._share(stream.everyone, stream.seconds)

    def _share(self, requests: int, seconds: float) -> float | None:
        expected = self.rpm / 60 * seconds
        return round(requests / expected * 100, 1) if expected else None


def percentile(latencies: Mapping[float, int], share: float) -> float | None:
    """The latency that `share` of the requests do not exceed, by the upper bounds of their buckets; None when empty."""
    wanted, seen = share * sum(latencies.values()), 0
    for upper in sorted(latencies):
        seen += latencies[upper]
        if seen >= wanted and seen:
            return upper
    return None


class TrafficCriterion:
    """A criterion about blocks of traffic. `judges`: one by stream; `first`: the stream that is preferred.

    `limits` are in the unit of the value: what is asked for, in words and as a number, and what rolls back.
    """

    def __init__(
        self,
        criterion: str,
        title: str,
        unit: str,
        kind: TrafficFigure,
        judges: Mapping[str, BlockJudge],
        first: str,
        *,
        rule: str,
        limit: float,
        roll_back_at: float | None = None,
    ) -> None:
        self.criterion = criterion
        self._title, self._unit, self._kind = title, unit, kind
        self._streams = {name: _StreamState(judge) for name, judge in judges.items()}
        self._first = first
        self._rule, self._limit, self._roll_back_at = rule, limit, roll_back_at

    def add_sample(self, sample: Sample) -> None:
        """See SampleJudge."""
        stream = self._streams.get(sample.stream)
        if stream is None:
            return
        traffic = sample.traffic
        stream.judge = stream.judge.after(traffic)
        stream.points.append((sample.at, self._kind.point(traffic) if traffic else None))
        if traffic is None:
            stream.missing += 1
            return
        stream.seconds += traffic.seconds
        stream.total += traffic.total
        stream.errors += traffic.errors
        stream.everyone += traffic.everyone
        stream.latencies.update(dict(traffic.latencies))

    def judge(self, *, at_end: bool) -> Standing:
        """See SampleJudge."""
        judge = self._chosen.judge
        found = judge.at_end() if at_end else judge.so_far
        return Standing(found.verdict, f"{found.reason} ({NAMES[self._name]})", found.roll_back, found.observed)

    @property
    def too_few_came(self) -> bool:
        """Whether it stays undecided because there were not enough requests, all of which were seen."""
        return self._chosen.judge.at_end().rule in {"minimum", "no data"} and not self._chosen.missing

    def measurement(self) -> Measurement:
        """See SampleJudge."""
        stream = self._chosen
        return Measurement(
            self._title,
            self._kind.value(stream),
            self._unit,
            source=NAMES[self._name],
            observed_at=stream.points[-1][0] if stream.points else now(),
            samples=stream.total,
            window_s=round(stream.seconds),
            series=self.series(),
        )

    def series(self) -> Series:
        """See SampleJudge."""
        points = tuple(self._chosen.points)
        return Series(self.criterion, self._title, self._unit, points, self._limit, self._roll_back_at)

    def row(self) -> WatchRow:
        """See SampleJudge."""
        stream = self._chosen
        found = stream.judge.so_far
        value = self._kind.value(stream)
        state = RowState.BAD if found.verdict is Verdict.FAIL else RowState.GOOD
        return WatchRow(
            self.criterion,
            "not seen yet" if value is None else f"{value:g} {self._unit}",
            f"{self._rule} {self._limit:g} {self._unit}",
            RowState.UNKNOWN if value is None or stream.blind > _TOO_MUCH else state,
            tuple(one for _, one in stream.points[-_SHOWN:]),
        )

    @property
    def _chosen(self) -> _StreamState:
        return self._streams[self._name]

    @property
    def _name(self) -> str:
        first = self._streams[self._first]
        if first.blind <= _TOO_MUCH or not first.points:
            return self._first
        return min(self._streams, key=lambda name: (self._streams[name].blind, name != self._first))
