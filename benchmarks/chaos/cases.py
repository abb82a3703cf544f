"""The cases of the chaos matrix: which release, what hits its run and when, and how Cloud Run fails meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STARVED = "starved of memory"  # pytest hangs for ever: it costs a case the supervisor's whole patience
INSIDE = ("os._exit", "segfault", "out of memory", "full disk", "timeout by signal", "timeout by thread", STARVED)
_BLOWS = ("SIGINT", "SIGTERM", "SIGKILL", "CI's cancellation", *INSIDE)
_MOMENTS = ("begun", "armed", "failed", "rolling-back", "shifted")
_DECIDED = _MOMENTS[2:]  # only a bad release comes to these
_BAD = 0.7  # of the releases that are hit before that
_PHASES = ("smoke", "smoke", "monitor")
_LATEST = {"smoke": 0.6, "monitor": 15.0}  # seconds after which a run is hit: a watch takes 20
_API = (
    *([""] * 8),
    *("cloud-run-down", "cloud-run-hangs", "cloud-run-401", "cloud-run-403", "rollback-conflict"),
    *("cloud-run-429", "cloud-run-500", "operation-never-ends", "rollback-fails", "success-without-effect"),
    *("cloud-run-403,github-down", "cloud-run-500,workflow-idle", "cloud-run-401,workflow-hangs"),
)
_SLOW = ("cloud-run-hangs", "operation-never-ends", "cloud-run-401,workflow-hangs")


@dataclass(frozen=True, slots=True)
class Case:
    """One run: which release, what breaks Cloud Run and the ways to it, what hits the run, and when."""

    number: int
    bad: bool
    api: str
    blow: str
    moment: str
    delay: float
    phase: str

    def __str__(self) -> str:
        release = "bad release" if self.bad else "healthy release"
        at = f"{self.delay:.2f} s " + ("into a criterion" if self.blow in INSIDE else f"after {self.moment}")
        return f"{self.number}: {self.phase}, {release}, {self.blow} {at}, {self.api or 'Cloud Run well'}"


def matrix(seed: int, runs: int, *, quick: bool = False) -> list[Case]:
    """`runs` cases: each blow, moment and failure of Cloud Run as often as the others, in an order of chance.

    `quick` leaves out what takes long: the watches, and what takes a case minutes.
    """
    chance = random.Random(seed)  # noqa: S311  (it only has to be the same again)

    def shuffled(values: Sequence[str]) -> Iterator[str]:
        while True:
            yield from chance.sample(values, len(values))

    phases = shuffled(("smoke",) if quick else _PHASES)
    blows = shuffled([blow for blow in _BLOWS if not (quick and blow == STARVED)])
    moments = shuffled(_MOMENTS)
    failures = shuffled([faults for faults in _API if not (quick and faults in _SLOW)])
    cases = []
    for number in range(runs):
        phase, blow, moment, api = next(phases), next(blows), next(moments), next(failures)
        decided = moment in _DECIDED and blow not in INSIDE
        bad = decided or chance.random() < _BAD
        delay = chance.uniform(0, _LATEST["smoke" if decided else phase])
        cases.append(Case(number, bad, api, blow, moment, round(delay, 3), phase))
    return cases
