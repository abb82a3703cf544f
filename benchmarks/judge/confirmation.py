"""What asking again makes of a smoke phase of nine criteria, as the code plays it; `questions` counts it out."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.figure import Figure
from verification.criteria.confirmation import MOST_ANSWERS, Confirmed, ask_until_certain
from verification.criteria.repetition import Answered, Repetition
from verification.deadline import Deadline
from verification.judge.confirmation import Answers

_LIMIT = 0.01
_CRITERIA = 9
_HEALTHY, _BAD = (0.001, 0.005, 0.009), 0.2
_ANSWER_S = 0.2


def measure(*, quick: bool) -> list[Figure]:
    """Percent of healthy phases that fail or are inconclusive, of bad ones that are noticed; a dead flow's delay."""
    phases = 2_000 if quick else 20_000
    return [*(figure for share in _HEALTHY for figure in _healthy(share, phases)), *_noticed(phases), _delay()]


def _healthy(share: float, phases: int) -> Iterator[Figure]:
    played = _played(share, phases)
    how = f"of {phases:,} phases, by the code that asks again"
    name = f"smoke, {100 * share:g} % bad answers, played"
    yield Figure(f"{name}: fails", round(100 * played["fail"] / phases, 3), 0.01, "%", how)
    yield Figure("- inconclusive", round(100 * played["inconclusive"] / phases, 2), 2.2, "%", how)


def _noticed(phases: int) -> Iterator[Figure]:
    played = _played(_BAD, phases)
    missed = 100 * played["pass"] / phases
    how = f"of {phases:,} phases: {played['fail']:,} fail, {played['inconclusive']:,} inconclusive; the watch finds all"
    yield Figure(f"smoke, {100 * _BAD:g} % bad answers: passes", round(missed, 2), None, "%", how)


def _delay() -> Figure:
    def ask(_: float) -> Repetition:
        time.sleep(_ANSWER_S)
        return Repetition(Answered.BAD)

    began = time.monotonic()
    found = ask_until_certain(ask, Answers(1, 1, _LIMIT), MOST_ANSWERS, Deadline.after(15))
    assert found.certain
    more = time.monotonic() - began - _ANSWER_S
    return Figure("smoke, dead flow: certain after", more, 1, "s", "more than one more answer takes")


def _played(share: float, phases: int) -> Counter[str]:
    """The verdicts of `phases` simulated phases, by the code that asks again."""
    chance = random.Random(3)  # noqa: S311  (played, not kept secret)
    verdicts: Counter[str] = Counter()
    for _ in range(phases):
        found = [_confirmed(chance, share) for _ in range(_CRITERIA) if chance.random() < share]
        failed, cleared = any(each.certain for each in found), all(each.cleared for each in found)
        verdicts["fail" if failed else "pass" if cleared else "inconclusive"] += 1
    return verdicts


def _confirmed(chance: random.Random, share: float) -> Confirmed:
    def ask(_: float) -> Repetition:
        return Repetition(Answered.BAD if chance.random() < share else Answered.GOOD)

    return ask_until_certain(ask, Answers(1, 1, _LIMIT), MOST_ANSWERS, Deadline.after(60))
