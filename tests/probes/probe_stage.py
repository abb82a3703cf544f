"""Probes that wait for each other and for the test, and what they are given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from verification.errors import ServiceError
from verification.probe import Probes, asked_once, probe
from verification.resource import Resources, resource

LONG = 30.0  # seconds: a deadline that is never reached unless a test fails


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
