"""How much more the errors of a service vary than independent ones would: bad minutes follow bad minutes. Pure.

Pearson's dispersion is chi square by its degrees of freedom (McCullagh and Nelder, Generalized Linear Models, 1989,
4.5). Errors that come in spells of minutes hardly show from one minute to the next, and add up over a watch: windows of
several lengths are looked at, and the largest counts. An estimate has an error of its own, by which evidence would be
taken for more than it is: what tempers evidence is its upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import stdev

SCALES = (1, 5, 10)  # minutes
_FEWEST = 10  # windows; fewer say nothing of how much they vary
_SURE = 1.645  # standard errors: of one side, at 95 %
_HARDLY_CHANCE = 2.326  # at 99 %: of independent errors, each of the scales is taken for dispersed that seldom
_INCIDENT, _INCIDENT_ALPHA = 0.05, 5e-4  # the checklist's own word for what is none of a service's usual minutes


@dataclass(frozen=True, slots=True)
class Dispersion:
    """As it was measured, and at most (95 %); 1 where nothing speaks against that. Raises ValueError below."""

    likely: float = 1.0
    at_most: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.likely <= self.at_most and isfinite(self.at_most)):
            raise ValueError(f"expected a dispersion of 1 at least: {self.likely}, at most {self.at_most}")


INDEPENDENT = Dispersion()


def dispersion_of(minutes: Sequence[tuple[int, int]]) -> Dispersion:
    """That of minutes in a row, (bad, total) each. One that is surely an incident is no minute of a usual day."""
    usual = [(0, 0) if _is_incident(*minute) else minute for minute in minutes]
    found = [one for scale in SCALES if (one := _at_scale(list(_windows(usual, scale))))]
    return max(found, key=lambda one: one.at_most, default=INDEPENDENT)


def _windows(minutes: Sequence[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """The sums of windows, the newest minute in a whole one; without those in which nobody asked."""
    for end in range(len(minutes), length - 1, -length):
        bad, total = (sum(counts) for counts in zip(*minutes[end - length : end], strict=True))
        if total:
            yield bad, total


def _at_scale(windows: Sequence[tuple[int, int]]) -> Dispersion | None:
    """That of windows of one length; None where it may as well be 1."""
    bad, total = (sum(counts) for counts in zip(*windows, strict=True)) if windows else (0, 0)
    if len(windows) < _FEWEST or not 0 < bad < total:
        return None
    rate, number = bad / total, len(windows)
    parts = [(one - asked * rate) ** 2 / (asked * rate * (1 - rate)) for one, asked in windows]
    measured = sum(parts) / (number - 1)
    # Of independent errors it would be 1, with this standard error: few of them in a window make it larger.
    if measured <= 1 + _HARDLY_CHANCE * sqrt((2 + number / bad) / number):
        return None
    return Dispersion(measured, measured + _SURE * stdev(parts) / sqrt(number))


def _is_incident(bad: int, total: int) -> bool:
    if bad <= _INCIDENT * total:
        return False
    from verification.judge.sequential_test import lower_bound

    return float(lower_bound(bad, total, _INCIDENT_ALPHA)) > _INCIDENT
