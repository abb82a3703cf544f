"""Probes start together, run once, and cost those who ask for them no more than they must."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from verification.errors import ObserverError, ServiceError, SettingsError
from verification.probe import Probes, Progress, asked_once, probe
from verification.resource import Resources, resource

LONG = 30.0  # seconds: a deadline that is never reached unless a test fails

pytestmark = pytest.mark.timeout(60)


@dataclass
class Stage:
    """What the probes below play on: who began, who may go on, and how often each ran."""

    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(3))
    gate: threading.Event = field(default_factory=threading.Event)
    other_gate: threading.Event = field(default_factory=threading.Event)
    ran: list[str] = field(default_factory=list)
    shut: int = 0

    def close(self) -> None:
        self.shut += 1


@probe
def e_left(e_stage: Stage) -> str:
    e_stage.together.wait(LONG)
    return "left"


@probe
def e_right(e_stage: Stage) -> str:
    e_stage.together.wait(LONG)
    return "right"


@probe
def e_asked(service: Stage) -> str:
    service.ran.append("asked")
    return "asked"


@probe
def e_of_it(e_asked: str) -> str:
    return f"{e_asked} and told"


@probe
@asked_once
def e_wrong(service: Stage) -> str:
    service.ran.append("wrong")
    return "refused"


@probe
def e_watch(watcher: Stage) -> str:
    return f"watched by {watcher}"


@probe
def e_root(e_stage: Stage) -> str:
    e_stage.ran.append("root")
    return "root"


@probe
def e_branch(e_root: str, e_stage: Stage) -> str:
    e_stage.ran.append("branch")
    return f"{e_root} and branch"


@probe
def e_other_branch(e_root: str) -> str:
    return f"{e_root} and other branch"


@probe
def e_hung(e_stage: Stage) -> str:
    e_stage.gate.wait(LONG)
    return "hung"


@probe
def e_behind_hung(e_hung: str) -> str:
    return f"behind {e_hung}"


@probe
def e_slow(e_stage: Stage) -> str:
    e_stage.other_gate.wait(LONG)
    return "slow"


@probe
def e_bad(e_stage: Stage) -> str:
    e_stage.ran.append("bad")
    raise ServiceError("the service is broken")


@probe
def e_behind_bad(e_bad: str) -> str:
    raise AssertionError("never reached")


@probe
def e_exits() -> str:
    raise SystemExit(3)


@probe
def e_wants_more(e_no_such_thing: str) -> str:
    return e_no_such_thing


@probe
def e_circle(e_circle_too: str) -> str:
    return e_circle_too


@probe
def e_circle_too(e_circle: str) -> str:
    return e_circle


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.gate.set()
    made.other_gate.set()
    made.together.abort()


def probes(stage: Stage, within: float = LONG) -> Probes:
    return Probes(Given(stage), within)


class Given(Resources):
    """What the probes of a test are given."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    @resource
    def e_stage(self) -> Stage:
        return self._stage

    service = watcher = e_stage


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


def test_a_resource_is_made_once_even_if_many_ask_at_once_and_closed_if_it_can_be() -> None:
    made: list[Stage] = []
    everyone = threading.Barrier(8)

    class Some(Resources):
        @resource
        def stage(self) -> Stage:
            made.append(Stage())
            return made[-1]

        @resource
        def number(self) -> int:
            return 5

        @resource
        def unused(self) -> None:
            pytest.fail("made without need")

    resources = Some()

    def ask() -> None:
        everyone.wait(LONG)
        resources.get("stage")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert resources.get("number") == 5
    resources.close()
    assert [one.shut for one in made] == [1]


def test_resources_that_need_each_other_are_built_by_any_thread_first() -> None:
    """A lock for each of them, beside the one for all, would have two threads wait for each other for ever."""
    second_is_asked_for = threading.Event()

    class Some(Resources):
        @resource
        def first(self) -> int:
            second_is_asked_for.wait(LONG)
            asking.join(0.2)  # as long as it takes to come to the lock
            return self.second + 1

        @resource
        def second(self) -> int:
            return 1

    resources = Some()

    def ask_for_second() -> None:
        second_is_asked_for.set()
        resources.get("second")

    asking = threading.Thread(target=ask_for_second, daemon=True)
    asked = threading.Thread(target=lambda: resources.get("first"), daemon=True)
    asked.start()
    asking.start()
    asked.join(10)
    assert not asked.is_alive()
    assert resources.get("first") == 2
