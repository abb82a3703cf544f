"""The watch: asks all sources side by side, hands what they saw to the criteria, and ends as soon as one is certain.

It lasts as long as it was told to, longer while something is undecided, and shorter when a criterion fails or when
somebody else changes what serves: their revision is none that was to be judged. A source that fails leaves a gap.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from verification.deadline import Deadline, Stopwatch
from verification.errors import VerificationError
from verification.judge.judgement import Judgement
from verification.redaction import redact
from verification.series import WatchSnapshot
from verification.settings.monitor import Monitor
from verification.verdict import Verdict
from verification.watch.criteria.sample_judge import GuardedCriterion, SampleJudge
from verification.watch.result import WatchedCriterion
from verification.watch.samples import Sample, SampleFile
from verification.watch.sources.serving import SERVING
from verification.watch.sources.source import BlockSource, Source
from verification.watch.witness import Witness

BEGUN = "watch"  # the stream about the watch itself
_TICK = 0.25
_PATIENCE = 30.0  # seconds that a question which is open at the end may still take
_SILENCE = 10.0  # seconds beyond three intervals without an answer: then nobody looked, and the answers are missing
_TOO_MUCH_MISSING = 0.2


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """Which revision is watched, since when, for how many seconds, and at most how many where it stays undecided."""

    revision: str
    start: datetime
    seconds: float
    at_most: float
    settings: Monitor

    @property
    def lengths(self) -> list[float]:
        """After how many seconds it may end: each later one is an extension by half."""
        count = max(int((self.at_most - self.seconds) / (self.seconds / 2) + 1e-9), 0)
        return [self.seconds * (1 + number / 2) for number in range(count + 1)]


class Watch:
    """One watch. `traffic` are those of its sources that tell blocks, the preferred one first.

    `on_certain` is told the criterion that is certain to fail, and why, before the watch ends for it.
    """

    def __init__(
        self,
        plan: WatchPlan,
        criteria: Sequence[SampleJudge],
        traffic: Sequence[BlockSource],
        sources: Sequence[Source],
        file: SampleFile,
        clock: Callable[[], datetime],
        on_certain: Callable[[str, str], None] = lambda _criterion, _reason: None,
    ) -> None:
        self.plan = plan
        self._on_certain = on_certain
        self._criteria = {judge.criterion: GuardedCriterion(judge) for judge in criteria}
        self._traffic, self._file, self._clock = traffic, file, clock
        self._blocks_of = {source.stream for source in traffic}
        self._end = plan.start + timedelta(seconds=plan.at_most)
        self._threads = [_SourceThread(source) for source in (*traffic, *sources)]
        self._came: queue.SimpleQueue[list[Sample]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._watched = Stopwatch.start()
        self._elapsed_before = max((clock() - plan.start).total_seconds(), 0.0)
        self._length = plan.seconds
        self._cut_short = ""
        asked = any(SERVING in source.streams for source in sources)
        self._witness = Witness(plan.revision, present=asked)
        self._decided: tuple[str, datetime] | None = None  # the criterion that ended it, and when
        self._missing: dict[str, list[int]] = {}  # by stream: samples, and how many of them are missing

    def run(self) -> Mapping[str, WatchedCriterion]:
        """Watch to the end; what came of it, by criterion. Never raises."""
        for thread in self._threads:
            thread.start(self._clock, self._came, self._stopped)
        try:
            for length in self.plan.lengths:
                self._length = length
                self._watch_until(length)
                if self._over:
                    break
                self._take_what_came()
                self._settle(length)
                self.add_samples(sample for thread in self._threads for sample in thread.unanswered(self._clock()))
                if self._over or not self._undecided():
                    break
        finally:
            self._stopped.set()
        return self.results()

    def stop(self) -> None:
        """End it now: nobody waits for what it will come to."""
        self._stopped.set()

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """Take in what a source saw, note it, and see whether something is certain now."""
        several = list(samples)
        with self._lock:
            self._file.append(several)
            for sample in several:
                self._hand_on(sample)
            self._judge()

    def replay(self, samples: Iterable[Sample]) -> None:
        """Take in what an earlier watch of the same deployment saw; the sources go on from there."""
        several = list(samples)
        self.add_samples(several)
        for blocks in self._traffic:
            for sample in several:
                if sample.traffic and sample.stream == blocks.stream:
                    blocks.skip(sample.at + timedelta(seconds=sample.traffic.seconds))

    def begin(self) -> None:
        """Note that it begins, so that another one can go on in its place."""
        self._file.append([Sample(BEGUN, self.plan.start, self.plan.seconds, self.plan.revision)])

    def results(self) -> dict[str, WatchedCriterion]:
        """What it comes to now, by criterion."""
        with self._lock:
            cut_short = self._cut_short or ("it was stopped" if self._elapsed < self.plan.seconds else "")
            return {name: self._result_of(criterion, cut_short) for name, criterion in self._criteria.items()}

    def snapshot(self) -> WatchSnapshot:
        """How it stands, for whoever looks on."""
        with self._lock:
            notes = [f"extended: {self._length:g} s instead of {self.plan.seconds:g} s"]
            return WatchSnapshot(
                max(self._length - self._elapsed, 0.0),
                self._length,
                tuple(criterion.row() for criterion in self._criteria.values()),
                tuple(notes) if self._length > self.plan.seconds else (),
            )

    @property
    def _elapsed(self) -> float:
        """Seconds since the start. The monotonic clock stands still while a laptop sleeps, the other may be set."""
        by_monotonic = self._elapsed_before + self._watched.seconds
        return max((self._clock() - self.plan.start).total_seconds(), by_monotonic)

    @property
    def _over(self) -> bool:
        return bool(self._cut_short) or self._stopped.is_set()

    def _watch_until(self, seconds: float) -> None:
        while not self._over and (left := seconds - self._elapsed) > 0:
            self._listen(left)

    def _listen(self, left: float) -> None:
        try:
            self.add_samples(self._came.get(timeout=min(max(left, 0.01), _TICK)))
        except queue.Empty:
            return

    def _take_what_came(self) -> None:
        for _ in range(self._came.qsize()):
            self.add_samples(self._came.get())

    def _settle(self, seconds: float) -> None:
        """Wait until the blocks up to `seconds` are told; those of the next source only where the first one failed."""
        end = self.plan.start + timedelta(seconds=seconds)
        for blocks, thread in zip(self._traffic, self._threads, strict=False):
            deadline = Deadline.after(blocks.delay + 3 * blocks.every + _PATIENCE)
            while not self._over and not blocks.covers(end) and not deadline.is_over:
                self._listen(_TICK)
            given_up = thread.give_up(blocks, end)
            self._take_what_came()
            self.add_samples(given_up)
            if not self._too_much_missing(blocks.stream):
                return

    def _too_much_missing(self, stream: str) -> bool:
        came, missing = self._missing.get(stream, [0, 0])
        return not came or missing > _TOO_MUCH_MISSING * came

    def _hand_on(self, sample: Sample) -> None:
        if sample.stream in self._blocks_of and sample.at >= self._end:
            return  # after a machine has slept, the sources tell of all that was since
        self._witness.add_sample(sample)
        self._cut_short = self._cut_short or self._witness.changed
        counts = self._missing.setdefault(sample.stream, [0, 0])
        counts[0] += 1
        counts[1] += sample.missing
        for criterion in self._criteria.values():
            criterion.add_sample(sample)

    def _judge(self) -> None:
        if self._cut_short:
            return
        for name, criterion in self._criteria.items():
            judgement = criterion.judge(at_end=False)
            if judgement.verdict is Verdict.FAIL:
                self._on_certain(name, judgement.reason)
                self._decided = (name, self._clock())
                self._cut_short = f"{name} was certain to fail after {self._elapsed:.0f} s, which ended it"
                return

    def _undecided(self) -> bool:
        with self._lock:
            return bool(self._witness.unknown) or any(
                criterion.judge(at_end=True).verdict is None for criterion in self._criteria.values()
            )

    def _result_of(self, criterion: SampleJudge, cut_short: str) -> WatchedCriterion:
        settings, measurement = self.plan.settings, criterion.measurement()
        if self._decided and self._decided[0] == criterion.criterion and measurement.series:
            decided = replace(measurement.series, decided_at=self._decided[1])
            measurement = replace(measurement, series=decided)
        judgement = criterion.judge(at_end=not cut_short)
        good = judgement.verdict is Verdict.PASS
        if self._witness.unknown and (good or (judgement.verdict is None and judgement.observed)):
            judgement = Judgement(reason=self._witness.unknown, observed=False)
        return WatchedCriterion(
            measurement,
            replace(judgement, reason=redact(judgement.reason)),
            settings.when_ambiguous,
            settings.when_unobserved,
            cut_short,
        )


class _SourceThread:
    """A source's thread: asks, hands over, waits. What goes wrong is a gap in its streams, never the end of a watch."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._last: datetime | None = None  # when it was asked last and answered

    def start(
        self, clock: Callable[[], datetime], came: queue.SimpleQueue[list[Sample]], stopped: threading.Event
    ) -> None:
        """Ask again and again until `stopped`."""

        def work() -> None:
            self._last = clock()
            while not stopped.is_set():
                asked, at = Stopwatch.start(), clock()
                with self._lock:  # until it is handed over: whoever gives up waits for that
                    samples = self._asked(at)
                    came.put([*self.unanswered(at), *samples])
                self._last = max(at, self._last)
                stopped.wait(max(self._source.every - asked.seconds, 0.0))
            self._source.close()

        threading.Thread(target=work, name=f"watch {type(self._source).__name__}", daemon=True).start()

    def give_up(self, blocks: BlockSource, end: datetime) -> list[Sample]:
        """The blocks up to `end` that were not told, as missing; once the question that is open has its answer.

        One that hangs is not waited for: what it may tell then is not heard any more.
        """
        held = self._lock.acquire(timeout=_PATIENCE)
        try:
            return list(blocks.give_up(end))
        finally:
            if held:
                self._lock.release()

    def unanswered(self, at: datetime) -> list[Sample]:
        """The answers that should have come until `at` and did not: it hangs, or this machine slept."""
        every = self._source.every
        silence = (at - self._last).total_seconds() if self._last else 0.0
        if silence <= 3 * every + _SILENCE:
            return []
        words = f"no answer for {silence:.0f} s"
        begun = [at - timedelta(seconds=every * number) for number in range(int(silence / every) - 1, 0, -1)]
        self._last = at
        return [Sample(stream, when, text=words, missing=True) for when in begun for stream in self._source.streams]

    def _asked(self, at: datetime) -> list[Sample]:
        try:
            return list(self._source.read_samples(at))
        except VerificationError as problem:
            words = problem.cause
        except Exception as error:  # a source that breaks is one that cannot tell
            words = f"{type(error).__name__}: {error}"
        return [Sample(stream, at, text=redact(words), missing=True) for stream in self._source.streams]
