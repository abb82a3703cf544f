"""Users' requests under watch: how many fail, how many are slow, and whether they come at all.

Both sources (the request log, and Cloud Monitoring) are judged side by side, each by itself. The first choice decides,
unless too much of it is missing and the other one saw more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from verification.judge.judgement import Judgement
from verification.judge.proportion import Block
from verification.judge.rate import CountBlock
from verification.series import WatchRow
from verification.verdict import Measurement, Verdict
from verification.watch.criteria.sample_judge import History
from verification.watch.samples import Sample, TrafficBlock

LOG, METRICS = "traffic/log", "traffic/metrics"
NAMES = {LOG: "Cloud Logging, request log", METRICS: "Cloud Monitoring"}
_TOO_MUCH_MISSING = 0.2  # of the blocks: then the other source is asked
_P95 = 0.95
B = TypeVar("B")
B_contra = TypeVar("B_contra", contravariant=True)


class BlockJudge(Protocol[B_contra]):
    """A judge of one stream of blocks, at one moment: that of proportions, or that of rates."""

    def after(self, block: B_contra | None) -> BlockJudge[B_contra]:
        """The judge after one more block; None: it is missing."""
        ...

    @property
    def so_far(self) -> Judgement:
        """What is certain so far."""
        ...

    def at_end(self) -> Judgement:
        """The judgement now that nothing more comes."""
        ...


@dataclass(frozen=True, slots=True)
class TrafficFigure(Generic[B]):
    """What of the traffic a criterion is about.

    `value` is that of one block, or of several that were added up; None where it has none. `block` is what the judge
    counts of one.
    """

    value: Callable[[TrafficBlock], float | None]
    block: Callable[[TrafficBlock], B]


def percentile(latencies: Mapping[float, int], share: float) -> float | None:
    """The latency that `share` of the requests do not exceed, by the upper bounds of their buckets; None when empty."""
    wanted, seen = share * sum(latencies.values()), 0
    for upper in sorted(latencies):
        seen += latencies[upper]
        if seen >= wanted and seen:
            return upper
    return None


def _error_share(traffic: TrafficBlock) -> float | None:
    return round(traffic.errors / traffic.total * 100, 3) if traffic.total else None


# The share of requests that fail, in percent; every error is severe.
ERROR_SHARE = TrafficFigure(_error_share, lambda block: Block(block.total, block.errors, block.errors, block.errors))

# The 95th percentile of the latency, in ms: the upper bound of its bucket.
P95_LATENCY = TrafficFigure(
    lambda traffic: percentile(dict(traffic.latencies), _P95),
    lambda block: Block(block.total, block.slow, block.possibly_slow, block.very_slow),
)


def share_of(rpm: float) -> TrafficFigure[CountBlock]:
    """Requests to all revisions as a share of `rpm` a minute, in percent."""
    return TrafficFigure(
        lambda traffic: round(traffic.everyone / (rpm / 60 * traffic.seconds) * 100, 1) if rpm else None,
        lambda block: CountBlock(block.everyone, block.seconds),
    )


@dataclass(slots=True)
class _SourceState(Generic[B]):
    """One source's blocks so far: the judge of them, their values, and their sum."""

    judge: BlockJudge[B]
    history: History
    sum: TrafficBlock | None = None
    missing: int = 0

    @property
    def missing_share(self) -> float:
        """The share of blocks that are missing; 1 where there is none yet."""
        return self.missing / len(self.history.points) if self.history.points else 1.0


class TrafficCriterion(Generic[B]):
    """A criterion about blocks of traffic. `judges`: one by stream, the preferred one first.

    `limit` and `roll_back_at` are in `unit`; `rule` says on which side of `limit` the value must be, "<" or ">".
    """

    def __init__(
        self,
        criterion: str,
        title: str,
        unit: str,
        figure: TrafficFigure[B],
        judges: Mapping[str, BlockJudge[B]],
        *,
        rule: str,
        limit: float,
        roll_back_at: float | None = None,
    ) -> None:
        self.criterion = criterion
        self._figure = figure
        self._sources = {
            stream: _SourceState(judge, History(criterion, title, unit, limit, roll_back_at))
            for stream, judge in judges.items()
        }
        self._preferred = next(iter(judges))
        self._limit_text = f"{rule} {limit:g} {unit}"

    def add_sample(self, sample: Sample) -> None:
        """Have its source's judge count the block."""
        source = self._sources.get(sample.stream)
        if source is None:
            return
        traffic = sample.traffic
        if traffic is None:
            source.judge = source.judge.after(None)
            source.missing += 1
            source.history.add(sample.at, None)
            return
        source.judge = source.judge.after(self._figure.block(traffic))
        source.history.add(sample.at, self._figure.value(traffic))
        source.sum = source.sum + traffic if source.sum else traffic

    def judge(self, *, at_end: bool) -> Judgement:
        """The judgement of the source that decides, which its reason names."""
        judge = self._deciding.judge
        judgement = judge.at_end() if at_end else judge.so_far
        return replace(judgement, reason=f"{judgement.reason} ({NAMES[self._stream]})")

    @property
    def too_few_came(self) -> bool:
        """Whether it stays undecided because there were not enough requests, all of which were seen."""
        return self._deciding.judge.at_end().rule in {"minimum", "no data"} and not self._deciding.missing

    def measurement(self) -> Measurement:
        """The value over all blocks, as the deciding source saw them."""
        source = self._deciding
        samples, seconds = (source.sum.total, source.sum.seconds) if source.sum else (0, 0.0)
        return source.history.measured(self._value, NAMES[self._stream], samples=samples, window_s=round(seconds))

    def row(self) -> WatchRow:
        """The same value; unknown while too many blocks are missing."""
        source, value = self._deciding, self._value
        return source.history.row(
            "" if value is None else f"{value:g} {source.history.unit}",
            self._limit_text,
            good=source.judge.so_far.verdict is not Verdict.FAIL,
            known=value is not None and source.missing_share <= _TOO_MUCH_MISSING,
        )

    @property
    def _value(self) -> float | None:
        traffic = self._deciding.sum
        return self._figure.value(traffic) if traffic else None

    @property
    def _deciding(self) -> _SourceState[B]:
        return self._sources[self._stream]

    @property
    def _stream(self) -> str:
        """The stream that decides."""
        preferred = self._sources[self._preferred]
        if preferred.missing_share <= _TOO_MUCH_MISSING or not preferred.history.points:
            return self._preferred
        return min(self._sources, key=lambda name: (self._sources[name].missing_share, name != self._preferred))
