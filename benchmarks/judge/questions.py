"""The suite's own questions with known truth: how often smoke, with its confirmation, and a watch are mistaken.

Smoke is counted out over every course that its answers can take; watches are simulated, through the judge itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from benchmarks.figure import Figure
from verification.criteria.confirmation import MOST_ANSWERS, Confirmed
from verification.judge.confirmation import Answers
from verification.judge.judgement import Judgement
from verification.judge.questions import QuestionJudge, QuestionRule
from verification.verdict import Verdict

_LIMIT = 0.01
_CRITERIA = 9  # of the smoke phase
_HEALTHY = (0.001, 0.005, 0.009)
_BAD = 0.2
_WATCHES_S = (900, 1350, 1800)  # with its extensions
_LASTING_S = 30.0
_EVERY_S = (5.0, 30.0, 30.0, 30.0)  # health, and three flows
_SOON_S = _LASTING_S / 3
_CALLED = {share: f"{100 * share:g} % bad answers" for share in (*_HEALTHY, _BAD)}


def measure(*, quick: bool) -> list[Figure]:
    """The figures that confirmation and the watch's own questions are held to."""
    healthy, bad = (100, 50) if quick else (1000, 500)
    figures = [figure for share in _HEALTHY for figure in _smoke(share)]
    with ProcessPoolExecutor() as pool:
        for share in _HEALTHY:
            ends = Counter(pool.map(partial(_watched, share), range(healthy), chunksize=25))
            figures += _watches(share, ends, healthy)
        found = Counter(pool.map(partial(_watched, _BAD), range(bad), chunksize=10))[_end_of(Verdict.FAIL)]
    title = f"own questions, {_CALLED[_BAD]}: not found in a watch"
    return [*figures, Figure(title, 100 * (1 - found / bad), 0, "%", f"{bad:,} watches")]


def _smoke(share: float) -> list[Figure]:
    """Of smoke phases at that share of bad answers: how many fail, and how many are inconclusive."""
    failed, doubted = smoke_outcomes(share)
    phases = [1 - (1 - one) ** _CRITERIA for one in (failed, doubted)]
    how = f"{_CRITERIA} criteria, exact"
    return [
        Figure(f"smoke, {_CALLED[share]}: fails", float(f"{100 * phases[0]:.2g}"), 0.01, "%", how),
        Figure("- inconclusive", float(f"{100 * phases[1]:.2g}"), 2, "%", how),
    ]


def smoke_outcomes(share: float) -> tuple[float, float]:
    """The probabilities that a criterion fails and is inconclusive, over all courses of its answers."""
    courses, failed, doubted = {1: share}, 0.0, 0.0
    for total in range(2, MOST_ANSWERS + 1):
        after: defaultdict[int, float] = defaultdict(float)
        for bad, weight in courses.items():
            for more, chance in ((0, 1 - share), (1, share)):
                after[bad + more] += weight * chance
        courses = {}
        for bad, weight in after.items():
            found = Confirmed(Answers(bad, total, _LIMIT), asked_enough=total == MOST_ANSWERS)
            if found.certain:
                failed += weight
            elif not found.asked_enough:
                courses[bad] = weight
            elif not found.cleared:
                doubted += weight
    return failed, doubted


def _watches(share: float, ends: Counter[str], runs: int) -> list[Figure]:
    """Of watches at that share: how many roll back, for what is certain or stays ambiguous, and how many end unseen."""
    failed, ambiguous = ends[_end_of(Verdict.FAIL)], ends[_end_of(None)]
    how = f"{runs:,} watches of health and three flows"
    return [
        Figure(f"own questions, {_CALLED[share]}: roll back", 100 * (failed + ambiguous) / runs, 0.1, "%", how),
        Figure("- inconclusive", 100 * ends["unseen"] / runs, None, "%", "the very last answer was bad"),
    ]


def _watched(share: float, seed: int) -> str:
    """What a watch comes to: the worst of its questions, extended while that is undecided."""
    rng = np.random.default_rng([seed, int(share * 1e6)])
    judges = [_Asked(every, share, rng) for every in _EVERY_S]
    for seconds in _WATCHES_S:
        found = [asked.until(seconds) for asked in judges]
        if not any(one.verdict is None for one in found):
            break
    for wanted, observed in ((Verdict.FAIL, True), (None, True), (None, False)):
        if any((one.verdict, one.observed) == (wanted, observed) for one in found):
            return _end_of(wanted) if observed else "unseen"
    return _end_of(Verdict.PASS)


def _end_of(verdict: Verdict | None) -> str:
    return verdict.value if verdict else "ambiguous"


class _Asked:
    """One question, put again and again as a watch does: sooner after a bad answer."""

    def __init__(self, every_s: float, share: float, rng: np.random.Generator) -> None:
        rule = QuestionRule(_LIMIT, every_s, int(_WATCHES_S[-1] / every_s) + 60, _LASTING_S)
        self._judge = QuestionJudge.start(rule)
        self._every_s, self._share, self._rng = every_s, share, rng
        self._at_s = 0.0

    def until(self, seconds: float) -> Judgement:
        """The judgement when the watch ends after so many seconds."""
        while self._at_s < seconds and not self._judge.decided:
            good = bool(self._rng.random() >= self._share)
            self._judge = self._judge.after(self._at_s, good=good)
            self._at_s += self._every_s if good else min(self._every_s, _SOON_S)
        return self._judge.at_end()
