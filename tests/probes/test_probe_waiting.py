"""Which criterion comes next while probes are open, and for how long anybody waits."""

from __future__ import annotations

import threading

import pytest

from tests.probes.probe_stage import LONG, Stage, probes, stage
from verification.errors import ObserverError
from verification.probe import Progress

__all__ = ["stage"]

pytestmark = pytest.mark.timeout(60)


def test_the_next_is_the_first_whose_probes_are_done(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_hung", "e_slow", "e_root"])
    candidates: list[tuple[str, ...]] = [
        ("e_hung", "request"),
        ("e_slow", "e_root"),
        ("e_root", "e_hung"),
        ("e_root", "request"),
    ]
    assert some.result("e_root") == "root"
    assert some.next_settled(candidates) == 3
    assert some.next_settled([*candidates[:3], ("request",)]) == 3
    threading.Timer(0.05, stage.other_gate.set).start()
    assert some.next_settled(candidates[:3]) == 1
    stage.gate.set()
    assert some.result("e_hung") == "hung"
    assert some.next_settled(candidates) == 0


def test_who_looks_on_while_it_waits_hears_what_is_open_and_what_is_answered(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_behind_hung", "e_root"])
    assert some.result("e_root") == "root"
    seen: list[Progress] = []

    def idle() -> None:
        seen.append(some.progress())
        stage.gate.set()

    assert some.next_settled([("e_behind_hung",)], idle) == 0
    assert list(seen[0].open) == ["e_hung"], "what waits for another has not put its question yet"
    assert 0 < seen[0].open["e_hung"] < LONG
    assert (seen[0].answered, seen[0].of) == (1, 3)
    assert some.progress() == Progress({}, 3, 3)
    some.forget()
    assert some.progress() == Progress({}, 0, 0)
    stage.gate.clear()
    some.start(["e_behind_hung"])
    assert "e_behind_hung" not in some.progress().open, "when it was asked before says nothing about now"
    stage.gate.set()


def test_nobody_is_called_where_nothing_is_waited_for(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_root"])
    assert some.result("e_root") == "root"
    assert some.next_settled([("e_root",)], pytest.fail) == 0


def test_when_nothing_is_done_in_time_the_first_comes_next(stage: Stage) -> None:
    some = probes(stage, within=0.1)
    some.start(["e_hung", "e_slow"])
    assert some.next_settled([("e_hung",), ("e_slow",)]) == 0


def test_in_a_hurry_nothing_is_waited_for_beyond_the_grace_and_the_reason_is_told(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_hung", "e_slow", "e_root"])
    assert some.result("e_root") == "root"
    some.limit_wait(0.05)
    some.limit_wait(LONG)  # does not give the time back
    assert some.next_settled([("e_hung",), ("e_slow",)]) == 0
    for name in ("e_hung", "e_slow"):
        with pytest.raises(ObserverError, match="a failure that calls for a rollback was already certain"):
            some.result(name)
    assert some.result("e_root") == "root"


def test_the_time_of_a_probe_is_its_own_and_not_that_of_those_before_it(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_behind_hung"])
    pause = threading.Event()
    pause.wait(0.2)
    stage.gate.set()
    assert some.result("e_behind_hung") == "behind hung"
    assert some.seconds(["e_hung"]) >= 0.2
    assert some.seconds(["e_behind_hung"]) < some.seconds(["e_hung"])
    assert some.seconds(["e_behind_hung", "e_hung", "request"]) == some.seconds(["e_hung"])
    assert some.seconds(["request"]) == 0
