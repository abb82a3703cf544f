"""Resources that probes ask for: each made once, by whoever comes first."""

from __future__ import annotations

import threading

import pytest

from tests.probes.probe_stage import LONG, Stage
from verification.resource import Resources, resource

pytestmark = pytest.mark.timeout(60)


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
