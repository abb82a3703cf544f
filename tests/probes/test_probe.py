"""Probes start together, run once, and cost those who ask for them no more than they must."""

from __future__ import annotations

import threading

import pytest

from tests.probes.probe_stage import LONG, Stage, probes, stage
from verification.errors import ObserverError, ServiceError, SettingsError
from verification.probe import probe

__all__ = ["stage"]

pytestmark = pytest.mark.timeout(60)


def test_probes_run_side_by_side_before_anyone_asks(stage: Stage) -> None:
    """Each waits at a barrier for the others, so one after the other they would never get through."""
    some = probes(stage)
    some.start(["e_left", "e_right", "not a probe"])
    stage.together.wait(LONG)
    assert some.result("e_left") == "left"
    assert some.result("e_right") == "right"


def test_a_probe_gets_the_answers_that_it_asks_for_and_a_shared_one_runs_once(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_branch", "e_other_branch", "e_root", "e_branch"])
    assert some.result("e_other_branch") == "root and other branch"
    assert some.result("e_branch") == "root and branch"
    assert some.result("e_branch") == "root and branch"
    assert stage.ran == ["root", "branch"]


def test_asking_for_a_probe_that_was_not_started_starts_it(stage: Stage) -> None:
    assert probes(stage).result("e_branch") == "root and branch"


def test_one_hung_probe_costs_those_alone_who_ask_for_it(stage: Stage) -> None:
    some = probes(stage, within=0.2)
    some.start(["e_hung", "e_root"])
    with pytest.raises(ObserverError, match=r"e_hung has no answer after 0\.2 s"):
        some.result("e_hung")
    assert some.result("e_root") == "root"


def test_a_hung_probe_is_waited_for_once_however_many_ask(stage: Stage) -> None:
    some = probes(stage, within=0.2)
    some.start(["e_hung", "e_slow", "e_behind_hung"])
    with pytest.raises(ObserverError):
        some.result("e_hung")
    assert some.settled(["e_hung"])
    for name in ("e_hung", "e_slow", "e_behind_hung"):
        with pytest.raises(ObserverError):
            some.result(name)
        assert some.settled([name])


def test_an_answer_that_comes_late_is_still_taken(stage: Stage) -> None:
    some = probes(stage, within=0.05)
    with pytest.raises(ObserverError):
        some.result("e_hung")
    stage.gate.set()
    while threading.active_count() and any(one.name == "probe e_hung" for one in threading.enumerate()):
        next(one for one in threading.enumerate() if one.name == "probe e_hung").join(LONG)
    assert some.result("e_hung") == "hung"


def test_whatever_a_probe_raises_goes_to_those_who_ask(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_behind_bad", "e_exits", "e_wants_more"])
    for _ in range(2):
        with pytest.raises(ServiceError, match="the service is broken"):
            some.result("e_bad")
        with pytest.raises(ServiceError, match="the service is broken"):
            some.result("e_behind_bad")
    with pytest.raises(SystemExit):
        some.result("e_exits")
    with pytest.raises(KeyError, match="e_no_such_thing"):
        some.result("e_wants_more")
    assert stage.ran == ["bad"]


def test_probes_that_wait_for_each_other_are_refused_before_any_starts(stage: Stage) -> None:
    threads = threading.active_count()
    with pytest.raises(SettingsError, match="e_circle -> e_circle_too -> e_circle"):
        probes(stage).start(["e_circle"])
    assert threading.active_count() == threads


def test_two_probes_of_one_name_are_refused() -> None:
    def e_root() -> str:
        return "another"

    e_root.__module__ = "of_another_team"
    with pytest.raises(SettingsError, match="two probes are named e_root"):
        probe(e_root)


def test_the_service_is_asked_anew_with_all_that_follows_and_nobody_else_is(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_of_it", "e_root", "e_wrong"])
    assert [some.result(name) for name in ("e_of_it", "e_root", "e_wrong")] == ["asked and told", "root", "refused"]
    assert some.ask_again()
    assert some.result("e_of_it") == "asked and told"
    assert sorted(stage.ran) == ["asked", "asked", "root", "wrong"]
    with pytest.raises(ObserverError, match="was asked of a service that was being changed"):
        some.result("e_wrong")
    assert some.known("e_root") == "root"
    assert some.known("e_branch") is None


def test_where_the_service_is_watched_nothing_is_asked_anew(stage: Stage) -> None:
    some = probes(stage)
    some.start(["e_asked", "e_watch"])
    some.result("e_asked")
    assert not some.ask_again()
    assert stage.ran == ["asked"]
