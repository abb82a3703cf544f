"""A watch over scripted sources, with a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from verification.errors import ObserverError, ServiceError
from verification.judge.questions import QuestionRule
from verification.settings.monitor import Monitor
from verification.verdict import collecting
from verification.watch.criteria.repeated_checks import HEALTH, RepeatedCheck
from verification.watch.criteria.sample_judge import SampleJudge
from verification.watch.result import WatchedCriterion
from verification.watch.samples import Sample, SampleFile
from verification.watch.sources.source import BlockSource, Source
from verification.watch.watch import Watch, WatchPlan

START = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)

REVISION = "backend-00002-abc"

MONITOR = Monitor.model_validate(
    {
        "watch": "60s",
        "extended_to": "120s",
        "block": "1s",
        "roll_back_at": {"error_rate": "5%", "p95_latency": "2s", "lasting": "5s"},
        "tolerated_burst": {"fail": "2s", "roll_back": "1s"},
    }
)

_BEHIND = timedelta(seconds=4)

ASKED = QuestionRule(0.01, block_s=1, blocks=200, lasting_s=1)


class Clock:
    """A clock that goes on by itself, half a second each time somebody looks; or by as much as a test says.

    It waits for `sources` whose threads a busy machine does not let run: else they would have been silent for long.
    """

    def __init__(self, step: float = 0.5) -> None:
        self.time, self.step = START, step
        self.sources: list[Scripted] = []
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            if all(source.asked_at > self.time - _BEHIND for source in self.sources):
                self.time += timedelta(seconds=self.step)
            return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.time += timedelta(seconds=seconds)


@dataclass
class Scripted:
    """A source that tells what a test says."""

    streams: tuple[str, ...]
    tell: Callable[[datetime], Iterable[Sample]]
    every: float = 0.01
    waited_for: bool = True  # by the clock
    asked_at: datetime = START
    closed: bool = False

    def read_samples(self, at: datetime) -> Iterable[Sample]:
        self.asked_at = at
        return self.tell(at)

    def close(self) -> None:
        self.closed = True


def good(at: datetime) -> Iterable[Sample]:
    yield Sample(HEALTH, at, 1.0)


def health() -> RepeatedCheck:
    return RepeatedCheck("service_stays_healthy", "health", HEALTH, ASKED)


@dataclass
class Stage:
    """A watch over scripted sources, with a clock of its own."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    certain: list[tuple[str, str]] = field(default_factory=list)

    def watch(
        self,
        criteria: list[SampleJudge],
        *sources: Source,
        seconds: float = 60,
        most: float = 60,
        traffic: list[BlockSource] | None = None,
    ) -> Watch:
        plan = WatchPlan(REVISION, START, seconds, most, MONITOR)
        self.clock.sources = [source for source in sources if isinstance(source, Scripted) and source.waited_for]
        return Watch(
            plan, criteria, traffic or [], sources, SampleFile(self.folder / "samples.csv"), self.clock, self.note
        )

    def note(self, criterion: str, reason: str) -> None:
        self.certain.append((criterion, reason))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def verdict(watched: WatchedCriterion) -> str:
    with collecting():
        try:
            watched.must_be_none()
        except ServiceError:
            return "fail"
        except ObserverError:
            return "inconclusive"
    return "pass"


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("watch "):
            thread.join(5)
            assert not thread.is_alive()
