"""How soon a watch puts its own questions again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tests.watch.scripted_sources import at
from verification.watch.samples import Sample
from verification.watch.sources.questions import AskedAgain


class Answers(AskedAgain):
    """Answers as a test says: good, bad, or none."""

    streams = ("health",)

    def __init__(self, *answers: float | None, soon: float = 2) -> None:
        super().__init__(every=5, soon=soon)
        self.answers = iter(answers)

    def _answers(self, at: datetime) -> Iterable[Sample]:
        value = next(self.answers)
        return [Sample("health", at, value, missing=value is None)]


def paces(source: Answers, answers: int) -> list[float]:
    found = []
    for number in range(answers):
        assert len(list(source.read_samples(at(number)))) == 1
        found.append(source.every)
    return found


def test_after_a_bad_answer_it_is_asked_again_sooner_and_never_later() -> None:
    assert paces(Answers(1.0, 0.0, 0.0, None, 0.0, 1.0), 6) == [5, 2, 2, 5, 2, 5]
    assert paces(Answers(1.0, 0.0, 0.0, soon=10), 3) == [5, 5, 5]
