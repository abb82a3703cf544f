"""The lines that a log has while a run waits."""

from __future__ import annotations

from dataclasses import replace

from reports.live.lines import ProgressLines, clock_text
from tests.reports.live.screen import ASKED, NOTHING, WATCH, Clock, terminal
from verification.probe import Progress
from verification.series import RowState

__all__ = ["terminal"]


def test_a_log_names_every_30_seconds_what_is_open() -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    for _ in range(4 * 65):
        lines.show(ASKED, None)
        clock.time += 0.25
    assert said == ["waiting for test_suite (42 s), sentry_review (42 s); 14 of 20 answered"] * 2
    clock.time += 60
    lines.show(NOTHING, None)
    assert len(said) == 2


def test_a_log_has_a_line_a_minute_of_a_watch_and_one_at_each_change() -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    watch = replace(WATCH, rows=WATCH.rows[:1], notes=("resumed",))
    bad = replace(watch, rows=(replace(watch.rows[0], value="612 ms", state=RowState.BAD),))
    for second in range(90):
        lines.show(ASKED, watch if second < 30 else bad)
        clock.time += 1
    assert said == [
        "watch, 7:12 of 15:00 left: p95_latency good: 312 ms (limit 500 ms); resumed",
        "watch, 7:12 of 15:00 left: p95_latency is now bad: 612 ms (limit 500 ms)",
        "watch, 7:12 of 15:00 left: p95_latency bad: 612 ms (limit 500 ms); resumed",
    ]


def test_a_log_is_spared_secrets_and_control_characters(secret: str) -> None:
    clock, said = Clock(), list[str]()
    lines = ProgressLines(said.append, clock)
    clock.time += 30
    lines.show(Progress({f"a\n::error::{secret}\x1b[2J": 1.0}, 0, 1), None)
    assert len(said) == 1
    assert not {"\n", "\x1b"} & set(said[0])
    assert secret not in said[0]


def test_time_left_reads_as_on_a_clock() -> None:
    assert [clock_text(one) for one in (-1, 7.4, 432, 3600)] == ["0:00", "0:07", "7:12", "1:00:00"]
