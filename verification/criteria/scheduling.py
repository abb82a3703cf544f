"""Run criteria in the order in which their answers arrive, so that a failure is judged as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import cast

import pytest

from verification.criteria.criterion import asked_by, phase_of
from verification.probe import Probes

# Entered for each wait; what it gives is called now and then while the wait lasts.
Waiting = Callable[[], AbstractContextManager[Callable[[], None]]]


def run_in_order_of_answers(
    session: pytest.Session, items: Iterable[pytest.Item], probes: Probes, waiting: Waiting, *, last: bool = True
) -> None:
    """pytest's own loop over `items`, but within a phase the next criterion is one whose probes are done.

    `waiting` surrounds each wait for an answer. `last`: nothing runs after them, so that pytest may tear down
    everything. Raises session.Failed and session.Interrupted as pytest's loop does (`-x`, `--maxfail`).
    """
    remaining = list(items)
    chosen: pytest.Item | None = None
    while remaining:
        item = chosen or remaining[_next(remaining, probes, waiting)]
        remaining.remove(item)
        chosen = _ready(remaining, probes)
        # pytest tears down what the next item does not need. While that is open, only the session's own fixtures stay.
        following = chosen or (cast("pytest.Item", session) if remaining or not last else None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


def _next(remaining: list[pytest.Item], probes: Probes, waiting: Waiting) -> int:
    with waiting() as idle:
        return probes.next_settled(_candidates(remaining), idle)


def _ready(remaining: list[pytest.Item], probes: Probes) -> pytest.Item | None:
    index = next((i for i, names in enumerate(_candidates(remaining)) if probes.settled(names)), None)
    return None if index is None else remaining[index]


def _candidates(remaining: list[pytest.Item]) -> list[tuple[str, ...]]:
    """What the criteria ask for that may come next: those of the first phase that is left."""
    names: list[tuple[str, ...]] = []
    for item in remaining:
        if phase_of(item) != phase_of(remaining[0]):
            break
        names.append(asked_by(item))
    return names
