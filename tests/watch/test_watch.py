"""The watch itself: what it does with what its sources tell, fail to tell, or tell too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from verification.errors import ObserverError, ServiceError
from verification.judge.judgement import Judgement
from verification.judge.questions import QuestionRule
from verification.series import WatchRow
from verification.settings.monitor import Monitor
from verification.verdict import Measurement, Verdict, collecting
from verification.watch.criteria.forbidden_events import CRITICAL_ERRORS, ForbiddenEvents
from verification.watch.criteria.gauges import DEPENDENCY, MedianLatency
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH, RepeatedCheck
from verification.watch.criteria.sample_judge import SampleJudge
from verification.watch.criteria.traffic import LOG
from verification.watch.result import WatchedCriterion
from verification.watch.samples import Sample, SampleFile, TrafficBlock
from verification.watch.sources.serving import SERVING
from verification.watch.sources.source import BlockSource, BlocksRead, Source
from verification.watch.watch import Watch, WatchPlan
from verification.watch.witness import Witness

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


ASKED = QuestionRule(0.01, block_s=1, blocks=200, lasting_s=1)


class Clock:
    """A clock that goes on by itself, a second each time somebody looks; or by as much as a test says."""

    def __init__(self, step: float = 0.5) -> None:
        self.time, self.step = START, step
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
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
    closed: bool = False

    def read_samples(self, at: datetime) -> Iterable[Sample]:
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


def test_a_quiet_watch_lasts_its_time_and_passes(stage: Stage) -> None:
    ended = stage.watch([health()], Scripted((HEALTH,), good)).run()
    assert (stage.clock.time - START).total_seconds() >= 60
    assert verdict(ended["service_stays_healthy"]) == "pass"


def test_what_is_certain_ends_it_at_once_and_the_rest_is_not_judged_by_halves(stage: Stage) -> None:
    critical = ForbiddenEvents(
        "no_critical_errors", "critical errors", CRITICAL_ERRORS, "Sentry", enough=1, at_once=True
    )

    def tell(at: datetime) -> Iterable[Sample]:
        return [Sample(CRITICAL_ERRORS, at, 1.0, "17", "Boom")] if at > START + timedelta(seconds=5) else []

    ended = stage.watch([critical, health()], Scripted((CRITICAL_ERRORS,), tell), Scripted((HEALTH,), good)).run()
    assert (stage.clock.time - START).total_seconds() < 50
    assert verdict(ended["no_critical_errors"]) == "fail"
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert "no_critical_errors was certain to fail" in ended["service_stays_healthy"].cut_short
    assert stage.certain == [("no_critical_errors", ended["no_critical_errors"].judgement.reason)], (
        "whoever keeps the journal is told before the watch has ended"
    )
    series = ended["no_critical_errors"].measurement.series
    assert series is not None
    assert series.decided_at is not None


def test_somebody_elses_deployment_is_never_judged(stage: Stage) -> None:
    def serving(at: datetime) -> Iterable[Sample]:
        other = at > START + timedelta(seconds=5)
        yield Sample(SERVING, at, key="backend-00003-xyz" if other else REVISION, text="backend-00003-xyz 100 %")

    def bad_afterwards(at: datetime) -> Iterable[Sample]:
        yield Sample(HEALTH, at, 0.0 if at > START + timedelta(seconds=9) else 1.0, text="status is 503")

    ended = stage.watch([health()], Scripted((SERVING,), serving), Scripted((HEALTH,), bad_afterwards)).run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert "somebody else changed what serves" in ended["service_stays_healthy"].cut_short


def serving(*, unknown: Callable[[float], bool]) -> Scripted:
    """Cloud Run, which cannot say what serves while `unknown`, by the seconds since the start."""

    def tell(at: datetime) -> Iterable[Sample]:
        if unknown((at - START).total_seconds()):
            raise ObserverError("Cloud Run's API is down")
        yield Sample(SERVING, at, key=REVISION, text=f"{REVISION} 100 %")

    return Scripted((SERVING,), tell)


def never(_: float) -> bool:
    return False


def always(_: float) -> bool:
    return True


def test_a_watch_that_cannot_say_which_revision_serves_never_passes(stage: Stage) -> None:
    latency = MedianLatency("mongodb", 100, "deep health")
    dependency = Scripted((f"{DEPENDENCY}mongodb",), lambda at: [Sample(f"{DEPENDENCY}mongodb", at, 3.0)])
    sources = (Scripted((HEALTH,), good), dependency, serving(unknown=always))
    ended = stage.watch([health(), latency], *sources).run()
    assert {verdict(one) for one in ended.values()} == {"inconclusive"}
    for one in ended.values():
        assert f"whether {REVISION} was watched is not known" in one.judgement.reason
        assert "Cloud Run's API is down" in one.judgement.reason


def test_what_is_ambiguous_moves_nothing_where_nobody_knows_what_serves(stage: Stage) -> None:
    latency = MedianLatency("mongodb", 100, "deep health")
    turns = iter([3.0, 300.0, 300.0])
    dependency = Scripted((f"{DEPENDENCY}mongodb",), lambda at: [Sample(f"{DEPENDENCY}mongodb", at, next(turns))])
    ended = stage.watch([latency], dependency, serving(unknown=always), seconds=5, most=5).run()
    assert verdict(ended["mongodb_latency"]) == "inconclusive"


def test_a_failure_stays_one_where_nobody_knows_what_serves(stage: Stage) -> None:
    bad = Scripted((HEALTH,), lambda at: [Sample(HEALTH, at, 0.0, text="status is 503")])
    ended = stage.watch([health()], bad, serving(unknown=always)).run()
    assert verdict(ended["service_stays_healthy"]) == "fail"


def test_it_is_extended_while_nobody_can_say_what_serves(stage: Stage) -> None:
    blind = serving(unknown=lambda second: second > 50)
    ended = stage.watch([health()], Scripted((HEALTH,), good), blind, seconds=60, most=120).run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert (stage.clock.time - START).total_seconds() >= 120


def test_a_watch_that_saw_what_serves_passes(stage: Stage) -> None:
    ended = stage.watch([health()], Scripted((HEALTH,), good), serving(unknown=never)).run()
    assert verdict(ended["service_stays_healthy"]) == "pass"


@pytest.mark.parametrize(
    ("looks", "unknown"),
    [
        ("+++++", ""),
        ("+?+++", ""),
        ("?++++", ""),
        ("++++?", "1 of 5 times nobody could tell what serves (it is down)"),
        ("??+++", "2 of 5 times nobody could tell what serves (it is down)"),
        ("?????", "5 of 5 times nobody could tell what serves (it is down)"),
        ("", "0 of 0 times nobody could tell what serves (nobody could look)"),
    ],
)
def test_what_serves_is_known_where_nearly_every_look_and_the_last_one_told(looks: str, unknown: str) -> None:
    witness = Witness(REVISION, present=True)
    for number, look in enumerate(looks):
        when = START + timedelta(seconds=number)
        told = Sample(SERVING, when, key=REVISION)
        witness.add_sample(told if look == "+" else Sample(SERVING, when, missing=True, text="it is down"))
    assert witness.unknown == (f"whether {REVISION} was watched is not known: {unknown}" if unknown else "")
    assert witness.changed == ""


def test_a_watch_of_a_revision_that_nobody_could_name_never_passes(stage: Stage) -> None:
    plan = WatchPlan("", START, 20, 20, MONITOR)
    sources = (Scripted((HEALTH,), good), serving(unknown=never))
    watch = Watch(plan, [health()], [], sources, SampleFile(stage.folder / "samples.csv"), stage.clock)
    found = watch.run()["service_stays_healthy"]
    assert verdict(found) == "inconclusive"
    assert "which revision was watched is not known" in found.judgement.reason


@pytest.mark.parametrize("problem", [ObserverError("Sentry is down"), RuntimeError("a bug"), ValueError("NaN")])
def test_a_source_that_fails_is_a_gap_and_no_verdict(stage: Stage, problem: Exception) -> None:
    def fail(_: datetime) -> Iterable[Sample]:
        raise problem

    critical = ForbiddenEvents(
        "no_critical_errors", "critical errors", CRITICAL_ERRORS, "Sentry", enough=1, at_once=True
    )
    ended = stage.watch([critical, health()], Scripted((CRITICAL_ERRORS,), fail), Scripted((HEALTH,), good)).run()
    assert verdict(ended["no_critical_errors"]) == "inconclusive"
    assert str(problem) in ended["no_critical_errors"].judgement.reason
    assert verdict(ended["service_stays_healthy"]) == "pass", "the other sources go on"


def test_every_source_down_at_once_proves_nothing(stage: Stage) -> None:
    def fail(_: datetime) -> Iterable[Sample]:
        raise ObserverError("nobody answers")

    latency = MedianLatency("mongodb", 100, "deep health")
    ended = stage.watch([health(), latency], Scripted((HEALTH, f"{DEPENDENCY}mongodb"), fail)).run()
    assert {verdict(one) for one in ended.values()} == {"inconclusive"}
    assert not any(one.judgement.observed for one in ended.values())


def test_a_source_that_hangs_is_not_waited_for(stage: Stage) -> None:
    released = threading.Event()

    def hang(_: datetime) -> Iterable[Sample]:
        released.wait(30)
        return []

    stage.clock.step = 15.0
    try:
        ended = stage.watch([health()], Scripted((HEALTH,), hang)).run()
    finally:
        released.set()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"


def test_a_machine_that_sleeps_for_ten_minutes_has_not_watched_them(stage: Stage) -> None:
    slept: list[bool] = []

    def tell(at: datetime) -> Iterable[Sample]:
        if not slept:
            slept.append(True)
            stage.clock.sleep(600)
        yield Sample(HEALTH, at, 1.0)

    ended = stage.watch([health()], Scripted((HEALTH,), tell, every=1.0), seconds=601, most=601).run()
    found = ended["service_stays_healthy"]
    assert verdict(found) == "inconclusive"
    assert "had no answer" in found.judgement.reason


def test_what_stays_undecided_is_watched_for_longer(stage: Stage) -> None:
    def ends_badly_at_first(at: datetime) -> Iterable[Sample]:
        bad = timedelta(seconds=50) < at - START < timedelta(seconds=70)
        yield Sample(HEALTH, at, 0.0 if bad else 1.0, text="status is 503")

    lenient = RepeatedCheck("service_stays_healthy", "health", HEALTH, replace(ASKED, lasting_s=1000))
    ended = stage.watch([lenient], Scripted((HEALTH,), ends_badly_at_first), seconds=60, most=120).run()
    assert timedelta(seconds=90) <= stage.clock.time - START < timedelta(seconds=115)
    assert verdict(ended["service_stays_healthy"]) == "pass"


class ScriptedBlocks(BlockSource):
    """Blocks of a second each, told three seconds late."""

    def __init__(self, *, deaf: bool = False) -> None:
        super().__init__(
            LOG, START, block=1.0, delay=3.0, every=0.01, called="the log", nothing_yet="it has no lines yet"
        )
        self.deaf = deaf

    def _read_blocks(self, count: int) -> BlocksRead:
        if self.deaf:
            raise ObserverError("the log is down")
        return BlocksRead([TrafficBlock(1.0, 10, 0, 0, 0, 0, 10)] * count, count)


class Counting:
    """A criterion that notes the blocks that it is given."""

    criterion = "blocks"

    def __init__(self) -> None:
        self.taken: list[Sample] = []
        self._rest = health()

    def add_sample(self, sample: Sample) -> None:
        if sample.stream.startswith("traffic/"):
            self.taken.append(sample)
        self._rest.add_sample(Sample(HEALTH, sample.at, 1.0))

    def __getattr__(self, name: str) -> object:
        return getattr(self._rest, name)


def test_the_end_waits_for_blocks_that_can_be_read_late(stage: Stage) -> None:
    counting = Counting()
    blocks = ScriptedBlocks()
    stage.watch([counting], traffic=[blocks]).run()  # type: ignore[list-item]
    assert len(counting.taken) >= 60
    assert not any(one.missing for one in counting.taken[:60])


class SlowToHandOver:
    """BlockSource whose thread stands still between its last answer and handing it over, as on a machine under load."""

    def __init__(self, blocks: ScriptedBlocks) -> None:
        self._blocks = blocks

    @property
    def every(self) -> float:
        if (
            self._blocks.covers(START + timedelta(seconds=60))
            and threading.current_thread() is not threading.main_thread()
        ):
            time.sleep(0.5)
        return self._blocks.every

    def __getattr__(self, name: str) -> object:
        return getattr(self._blocks, name)


def test_the_end_waits_for_an_answer_that_is_there_and_not_handed_over(stage: Stage) -> None:
    counting = Counting()
    stage.watch([counting], traffic=[SlowToHandOver(ScriptedBlocks())]).run()  # type: ignore[list-item]
    assert [one.at for one in counting.taken[:60]] == [START + timedelta(seconds=n) for n in range(60)]


def test_blocks_that_never_came_are_missing_and_not_just_absent(stage: Stage) -> None:
    counting = Counting()
    blocks = ScriptedBlocks(deaf=True)
    stage.watch([counting], traffic=[blocks], seconds=20, most=20).run()  # type: ignore[list-item]
    assert [one.missing for one in counting.taken] == [True] * 20


def test_a_watch_that_was_cut_off_goes_on_without_losing_what_it_saw(stage: Stage) -> None:
    seen = [
        Sample("traffic/log", START + timedelta(seconds=n), traffic=TrafficBlock(1.0, 10, 0, 0, 0, 0, 10))
        for n in range(30)
    ]
    stage.clock.sleep(40)
    counting, blocks = Counting(), ScriptedBlocks()
    watch = stage.watch([counting], traffic=[blocks])  # type: ignore[list-item]
    watch.begin()
    watch.replay(seen)
    watch.run()
    times = [one.at for one in counting.taken]
    assert times[:60] == [START + timedelta(seconds=n) for n in range(60)], "none lost, none twice"
    again = SampleFile(stage.folder / "samples.csv").read()
    assert (again[0].key, again[0].at) == (REVISION, START)
    assert [one for one in again if one.traffic][:30] == seen, "so that the next one can go on, too"


class Defective(RepeatedCheck):
    """A criterion with a defect: it breaks at whatever it is told to break at."""

    def __init__(self, breaks_at: str) -> None:
        super().__init__("user_flows_keep_working", "flows", FLOWS, ASKED)
        self.breaks_at = breaks_at

    def add_sample(self, sample: Sample) -> None:
        super().add_sample(sample)
        self._break_at("add_sample")

    def judge(self, *, at_end: bool) -> Judgement:
        self._break_at("judge")
        return super().judge(at_end=at_end)

    def measurement(self) -> Measurement:
        self._break_at("measurement")
        return super().measurement()

    def row(self) -> WatchRow:
        self._break_at("row")
        return super().row()

    def _break_at(self, method: str) -> None:
        if method == self.breaks_at:
            raise ZeroDivisionError(method)


@pytest.mark.parametrize("method", ["add_sample", "judge", "measurement", "row"])
def test_a_criterion_that_is_broken_takes_no_other_with_it(stage: Stage, method: str) -> None:
    def tell(at: datetime) -> Iterable[Sample]:
        yield Sample(HEALTH, at, float(at < START + timedelta(seconds=20)))

    watch = stage.watch([Defective(method), health()], Scripted((HEALTH,), tell))
    assert len(watch.snapshot().rows) == 2
    ended = watch.run()
    assert verdict(ended["service_stays_healthy"]) == "fail"
    assert verdict(ended["user_flows_keep_working"]) == "inconclusive"
    assert "ZeroDivisionError" in ended["user_flows_keep_working"].judgement.reason


def test_what_was_certain_stays_so_when_its_criterion_breaks_afterwards(stage: Stage) -> None:
    broken = Defective("measurement")
    flows = Scripted((FLOWS,), lambda at: [Sample(FLOWS, at, 0.0)])
    ended = stage.watch([broken], flows).run()
    assert verdict(ended["user_flows_keep_working"]) == "fail"


def test_it_is_stopped_when_nobody_waits_for_it(stage: Stage) -> None:
    source = Scripted((HEALTH,), good)
    watch = stage.watch([health()], source, seconds=10_000, most=10_000)
    watch.stop()
    ended = watch.run()
    assert verdict(ended["service_stays_healthy"]) == "inconclusive"
    assert verdict_of(ended) == {None}


def verdict_of(ended: object) -> set[Verdict | None]:
    assert isinstance(ended, dict)
    return {one.judgement.verdict for one in ended.values()}


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("watch "):
            thread.join(5)
            assert not thread.is_alive()
