"""Asks ahead: where several criteria fail at once, what they will be asked again is asked side by side.

Criteria are judged one after another, and so is each asked again until it is certain. Of a service that fails after a
while (a database that does not answer), that would add up, while users meet it. So what looks bad among the answers
that are there is asked again at once; a criterion that then fails finds its answers, or most of their time, over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pytest

from verification.criteria.criterion import asked_by, criterion_id, role_of
from verification.probe import may_be_asked_again
from verification.run.run import Run

if TYPE_CHECKING:
    from verification.probe import Probes

_ASKED_AHEAD = 2  # with the answer that is there: of three that are bad, what is dead is certain


@runtime_checkable
class Questionable(Protocol):
    """The answer of a probe that asks the service."""

    @property
    def is_no_good(self) -> bool:
        """Whether it is no answer at all, or an error of the service's, whatever a criterion makes of it."""
        ...


class AskedAhead:
    """The answers that were asked for before their criterion failed, by criterion."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answers: dict[str, list[Probes]] = {}
        self._service: object = None
        self._closing = ExitStack()
        self._lock = threading.Lock()

    def ask_what_fails(self, items: Iterable[pytest.Item]) -> None:
        """Ask again, beside everything else, what `items` ask and is answered badly; now, or once it is answered."""
        if self._service is None:
            self._service = client = self._run.new_client()
            self._closing.callback(client.close)
        for item in items:
            for name in asked_by(item):
                if may_be_asked_again(name):
                    self._run.probes.when_answered(name, partial(self._look, item, name))

    def take(self, item: pytest.Item) -> Probes | None:
        """Answers that were asked for ahead, each once; None where there are none (any more)."""
        with self._lock:
            answers = self._answers.setdefault(criterion_id(item), [])
            return answers.pop() if answers else None

    def close(self) -> None:
        """End the connections."""
        self._closing.close()

    def _look(self, item: pytest.Item, answered: str) -> None:
        known, criterion = self._run.probes, criterion_id(item)
        answer = known.known(answered)
        if not (isinstance(answer, Questionable) and answer.is_no_good):
            return
        names = [asked for asked in asked_by(item) if may_be_asked_again(asked)]
        within, role = self._run.settings.smoke.confirm_within, role_of(item)
        with self._lock:
            if criterion in self._answers:
                return
            ahead = [known.anew(names, role, self._service, within) for _ in range(_ASKED_AHEAD)]
            self._answers[criterion] = list(ahead)
        for answers in ahead:
            answers.start(names)
