"""Blocks of traffic, which a watch gets late: none is lost, and none counts twice."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from tests.watch.watch_stage import REVISION, START, Stage, health, no_thread_stays, stage
from verification.errors import ObserverError
from verification.watch.criteria.repeated_checks import HEALTH
from verification.watch.criteria.traffic import LOG
from verification.watch.samples import Sample, SampleFile, TrafficBlock
from verification.watch.sources.source import BlockSource, BlocksRead

__all__ = ["no_thread_stays", "stage"]


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
