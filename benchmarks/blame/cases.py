"""The cases of the blame matrix: what a release is, what goes wrong besides, who remembers, and who can be asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, product

_PLAYBACK = "playback-broken"
_SMOKE_FAULTS = ("login-broken", "search-broken", _PLAYBACK, "unhealthy", "mongodb-down")
_WATCH_FAULTS = ("login-broken@8s", "search-broken@8s", "unhealthy@8s")
_QUESTIONS = ("/health", "/health/ready", "/health/deep", "/api/v1/auth/login", "/api/v1/content", "/api/v1/search")


class Row(StrEnum):
    """What happens besides the release."""

    ANSWER_500 = "answer-500"
    ANSWER_502 = "answer-502"
    ANSWER_RESET = "answer-reset"
    ANSWER_LATE = "answer-late"
    STOOD_STILL = "stood-still"
    QUESTION_LOST = "question-lost"
    PASSWORD = "password-rotated"
    LOCKED = "account-locked"
    WRONG_PATH = "wrong-path"
    WAF = "waf"
    IAM = "iam-refused"
    REFUSED = "connection-refused"
    CDN = "cdn-503"
    SLOW = "dependency-slow-everywhere"
    PREVIOUS_BAD = "previous-rolled-back"
    PINNED = "pinned-by-hand"
    HOTFIX = "hotfix"
    OTHER_SERVICE = "other-service"
    UNSEEN = "unseen"
    FRONT_END = "front-end-502"


class Control(StrEnum):
    """Whether the revision from before can be asked, and what is in the way."""

    POSSIBLE = "the revision from before can be asked"
    TAG_REFUSED = "no tag may be set"
    TAG_SILENT = "the tag's address does not answer"
    API_DOWN = "Cloud Run's API is down"

    @property
    def possible(self) -> bool:
        """Whether an answer is to be had."""
        return self is Control.POSSIBLE


_Combination = tuple[Row, bool, bool, Control]  # row, bad, kept, control
_IMPOSSIBLE = (Control.TAG_REFUSED, Control.TAG_SILENT, Control.API_DOWN)
WATCHES = frozenset({Row.QUESTION_LOST, Row.UNSEEN, Row.FRONT_END})
# Every revision fails here, and nothing but the control can tell. Where nobody can be asked, the checklist's word
# holds: in doubt, roll back.
ONLY_THE_CONTROL_TELLS = frozenset({Row.PASSWORD, Row.LOCKED, Row.WRONG_PATH, Row.SLOW})


@dataclass(frozen=True, slots=True)
class Case:
    """One run. `fault` is what a bad release has, empty for a healthy one; the last four are chance's alone.

    `noted`: the deploy workflow said which revision was there before; `names_itself`: the service says which one
    answers; `path` or the suite's `nth` question is the one that goes wrong, or `delay` seconds pass.
    """

    number: int
    row: Row
    fault: str
    kept: bool
    control: Control
    noted: bool
    names_itself: bool
    path: str
    nth: int
    delay: float

    @property
    def bad(self) -> bool:
        """Whether the release is."""
        return bool(self.fault)

    @property
    def phase(self) -> str:
        """The phase that is run."""
        return "monitor" if self.row in WATCHES else "smoke"

    def __str__(self) -> str:
        release = self.fault or "healthy"
        record = "record kept" if self.kept else "fresh runner"
        noted = ", previous noted" if self.noted else ""
        return f"{self.number}: {self.row}, {release}, {record}{noted}, {self.control}"


def makes_sense(row: Row, *, bad: bool, possible: bool) -> bool:
    """Whether these can be together, and what is right then is known; `possible`: the control."""
    if row is Row.UNSEEN:  # the API is down: that is the row
        return not possible
    return bad or possible or row not in ONLY_THE_CONTROL_TELLS


def matrix(seed: int, runs: int, *, quick: bool = False) -> list[Case]:
    """`runs` cases: each row as often as the others, and in it each release, record and control, in an order of chance.

    `quick` leaves out what takes long: the watches, and an API that is down.
    """
    chance = random.Random(seed)  # noqa: S311  (it only has to be the same again)
    rows = [row for row in Row if not (quick and row in WATCHES)]
    by_row = [_of_row(row, chance, quick=quick) for row in chance.sample(rows, len(rows))]
    in_turns = (next(cases) for cases in cycle(by_row))
    return [_case(number, combination, chance) for number, combination in zip(range(runs), in_turns, strict=False)]


def _of_row(row: Row, chance: random.Random, *, quick: bool) -> Iterator[_Combination]:
    """The row's combinations, again and again; what makes a control impossible takes turns."""
    both = (True, False)
    every = [one for one in product(both, both, both) if makes_sense(row, bad=one[0], possible=one[2])]
    reasons = [Control.API_DOWN] if row is Row.UNSEEN else _IMPOSSIBLE[: 2 if quick else 3]
    impossible = cycle(chance.sample(reasons, len(reasons)))
    while True:
        for bad, kept, possible in chance.sample(every, len(every)):
            yield row, bad, kept, Control.POSSIBLE if possible else next(impossible)


def _case(number: int, combination: _Combination, chance: random.Random) -> Case:
    row, bad, kept, control = combination
    fault = chance.choice(_WATCH_FAULTS if row in WATCHES else _SMOKE_FAULTS)
    if row is Row.CDN and fault == _PLAYBACK:
        fault = _SMOKE_FAULTS[0]  # the media are another's there
    noted, names_itself = chance.random() < 0.5, chance.random() < 0.5
    path, nth, delay = chance.choice(_QUESTIONS), chance.randint(1, 8), round(chance.uniform(0, 0.8), 2)
    # A wrong note is the one row. In the other, a service without users, nobody else knows what was there before, and
    # only answers tell whose they are.
    noted = noted or row is Row.PREVIOUS_BAD or (row is Row.OTHER_SERVICE and not kept)
    names_itself = names_itself or row is Row.OTHER_SERVICE
    return Case(number, row, fault if bad else "", kept, control, noted, names_itself, path, nth, delay)
