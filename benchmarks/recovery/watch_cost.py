"""What a watch costs by itself: processor, disk, and memory as traffic grows; fed in process, with no system to ask."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from benchmarks.programs import ROOT
from verification.settings.loading import load
from verification.settings.model import Settings
from verification.settings.monitor import Monitor
from verification.watch.baseline import Baseline, Minute
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, DATABASE_ERRORS, NEW_ERRORS, RESTARTS
from verification.watch.criteria.from_settings import BlockGrid, configured_criteria, error_rate
from verification.watch.criteria.gauges import DEPENDENCY, INSTANCES
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.criteria.sample_judge import SampleJudge
from verification.watch.criteria.sentry_rate import SentryErrorRate
from verification.watch.criteria.traffic import LOG, METRICS
from verification.watch.samples import Sample, SampleFile, TrafficBlock
from verification.watch.sources.serving import SERVING
from verification.watch.watch import Watch, WatchPlan

_START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
_WATCH, _DAY = 900, 86_400
_STREAMS = 20
_RPM = 1000
_MOST_SHARE, _MOST_MB, _MOST_RATIO = 1.0, 50.0, 1.2
_REVISION = "bayit-plus-backend-00002-abc"


def measure() -> list[Figure]:
    """Percent of a core, MB of samples in a day, and peak memory at ten times the traffic over that at once."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _streams(Path(folder) / "streams.csv")
        size = _whole(Path(folder) / "samples.csv", _RPM)
        once, tenfold = (_peak(Path(folder) / f"{rpm}.csv", rpm) for rpm in (_RPM, 10 * _RPM))
    blocks = _WATCH // 10
    how = f"{seconds:.2f} s of a processor for {_STREAMS} streams x {blocks} blocks, over {_WATCH} s"
    return [
        Figure("watch, processor", round(100 * seconds / _WATCH, 3), _MOST_SHARE, "% of a core", how),
        Figure("watch, a day of samples", round(size, 1), _MOST_MB, "MB", "15 minutes as shipped, times 96"),
        Figure("watch, memory at 10 x the traffic", tenfold / once, _MOST_RATIO, "x", f"{once / 1e6:.1f} MB at once"),
    ]


def _settings() -> tuple[Settings, Monitor]:
    settings = load(ROOT / "deployment.toml", "production", {"GOOGLE_CLOUD_PROJECT": "benchmark"}).settings
    assert settings.monitor is not None
    return settings, settings.monitor


def _baseline(rpm: int) -> Baseline:
    minutes = tuple(Minute(requests=rpm, errors=rpm // 1000) for _ in range(30))
    half = timedelta(minutes=30)
    return Baseline(
        service="backend",
        since=_START - half,
        until=_START,
        minutes=minutes,
        p95_ms=300,
        instances=(2, 4),
        latencies_ms={},
    )


def _watch(criteria: list[SampleJudge], monitor: Monitor, file: Path) -> Watch:
    plan = WatchPlan(_REVISION, _START, monitor.watch, monitor.extended_to, monitor)
    return Watch(plan, criteria, [], [], SampleFile(file), lambda: _START)


def _block(chance: np.random.Generator, rpm: int, seconds: int) -> TrafficBlock:
    """A block of a healthy service: one request in a thousand fails, one in a hundred is slow."""
    total = round(rpm / 60 * seconds)
    latencies = chance.lognormal(-2.2, 0.6, total)
    slow, very_slow = (int((latencies >= limit).sum()) for limit in (0.5, 2.0))
    buckets = Counter(float(f"{1000 * latency:.2g}") for latency in latencies)  # about as many as those of the log
    errors = int(chance.binomial(total, 0.001))
    return TrafficBlock(seconds, total, errors, slow, slow, very_slow, total, tuple(sorted(buckets.items())))


def _streams(file: Path) -> float:
    """Processor seconds of a watch with twenty judges of traffic, twenty sources, a file and a live view."""
    settings, monitor = _settings()
    grids = {LOG: BlockGrid(monitor.block, monitor.extended_to)}
    criteria: list[SampleJudge] = []
    for number in range(_STREAMS):
        criterion = error_rate(settings, monitor, _baseline(_RPM), grids)
        criterion.criterion = f"stream {number}"
        criteria.append(criterion)
    watch, chance = _watch(criteria, monitor, file), np.random.default_rng(7)
    blocks = [_block(chance, _RPM, 10) for _ in range(_WATCH // 10)]
    began = time.process_time()
    for number, traffic in enumerate(blocks):
        at = _START + timedelta(seconds=10 * number)
        watch.add_samples([Sample(LOG, at, traffic=traffic)])  # each of the twenty judges takes it in
        for _ in range(_STREAMS - 1):
            watch.add_samples([Sample(HEALTH, at, 1.0)])  # and each source hands its samples over by itself
        for _ in range(10):
            watch.snapshot()
    return time.process_time() - began


def _whole(file: Path, rpm: int) -> float:
    """MB of samples in a day, of a watch with the shipped criteria, asked as often as shipped."""
    settings, monitor = _settings()
    grids = {LOG: BlockGrid(monitor.block, monitor.extended_to), METRICS: BlockGrid(60, monitor.extended_to)}
    watch = _watch(configured_criteria(settings, monitor, _baseline(rpm), grids), monitor, file)
    watch.begin()
    for samples in _as_shipped(rpm):
        watch.add_samples(samples)
    return file.stat().st_size * (_DAY / _WATCH) / 1e6


def _peak(file: Path, rpm: int) -> float:
    """Bytes that such a watch holds at most."""
    tracemalloc.start()
    try:
        _whole(file, rpm)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _as_shipped(rpm: int) -> Iterator[list[Sample]]:
    chance = np.random.default_rng(7)
    for second in range(0, _WATCH, 5):
        at = _START + timedelta(seconds=second)
        yield [Sample(HEALTH, at, 1.0, took_ms=round(chance.uniform(20, 90), 1))]
        yield [Sample(SERVING, at, key=_REVISION, text=f"{_REVISION} 100 %")]
        if second % 10 == 0:
            yield [Sample(LOG, at, traffic=_block(chance, rpm, 10))]
        if second % 30 == 0:
            yield from _observed(at, chance)
        if second % 60 == 0:
            yield [Sample(METRICS, at, traffic=_block(chance, rpm, 60)), Sample(INSTANCES, at, 3.0)]


def _observed(at: datetime, chance: np.random.Generator) -> Iterator[list[Sample]]:
    names = ("mongodb", "openai", "elevenlabs", "pinecone")
    yield [Sample(f"{DEPENDENCY}{name}", at, round(chance.uniform(20, 90), 1)) for name in names]
    flows = ("login", "content_listing", "search")
    yield [Sample(f"{FLOWS}{flow}", at, 1.0, took_ms=round(chance.uniform(20, 90), 1)) for flow in flows]
    yield [SentryErrorRate.counted(at, 3, 9000, "Sentry"), Sample(NEW_ERRORS, at), Sample(CRITICAL_ERRORS, at)]
    yield [Sample(DATABASE_ERRORS, at), Sample(RESTARTS, at)]
