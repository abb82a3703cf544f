"""How much more errors vary than independent ones: at several scales, with an upper bound, and incidents aside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from benchmarks.judge.scenarios import Scenario, scenarios
from verification.judge.dispersion import INDEPENDENT, Dispersion, dispersion_of

DAY = 24 * 60


def minutes_of(name: str, rpm: float, seed: int, minutes: int = DAY) -> list[tuple[int, int]]:
    """Minutes (bad, total) of a service as a scenario of the benchmark has it."""
    scenario: Scenario = next(one for one in scenarios() if (one.name, one.rpm) == (name, rpm))
    total, bad = scenario.normal_minutes(1, np.random.default_rng(seed), minutes)
    return list(zip(bad[0].tolist(), total[0].tolist(), strict=True))


@pytest.mark.parametrize("rpm", [60, 1000, 50_000])
def test_independent_errors_are_seldom_taken_for_dispersed_ones(rpm: float) -> None:
    found = [dispersion_of(minutes_of("0.5% errors", rpm, seed)) for seed in range(20)]
    assert sum(one == INDEPENDENT for one in found) >= 18
    assert max(one.at_most for one in found) < 1.8


@pytest.mark.parametrize("rpm", [60, 1000, 50_000])
def test_spells_of_errors_show_in_longer_windows(rpm: float) -> None:
    for seed in range(5):
        minutes = minutes_of("0.5 % that wander", rpm, seed)
        whole = dispersion_of(minutes)
        # In an order of chance the same minutes have no spells.
        shuffled = dispersion_of([minutes[place] for place in np.random.default_rng(seed).permutation(DAY)])
        assert whole.likely > 1.5 * shuffled.likely
        assert whole.at_most > 1.1 * whole.likely


@pytest.mark.parametrize("history", [30, 60, 180, DAY])
def test_a_short_history_has_few_windows_and_its_bound_is_wide(history: int) -> None:
    found = dispersion_of(minutes_of("0.5 % that wander", 1000, 3, history))
    assert found.at_most > found.likely > 1


def test_too_few_windows_say_nothing() -> None:
    uneven = [(0, 100), (4, 100)]
    assert dispersion_of(uneven * 4) == INDEPENDENT
    assert dispersion_of(uneven * 30).likely > 2
    assert dispersion_of([]) == INDEPENDENT
    assert dispersion_of([(0, 0)] * DAY) == INDEPENDENT


def test_an_incident_is_no_usual_minute() -> None:
    usual = minutes_of("0.5% errors", 1000, 1)
    incident = [(200, 1000)] * 20
    assert dispersion_of([*usual[:700], *incident, *usual[720:]]).at_most < 1.8
    spell = [(30, 1000)] * 20  # 3 % is not so bad that it rolls back at once: such minutes the service has
    assert dispersion_of([*usual[:700], *spell, *usual[720:]]).likely > 10


def test_one_bad_request_of_few_is_no_incident() -> None:
    one_in_five = [(int(number % 40 < 10), 5) for number in range(DAY)]
    assert dispersion_of(one_in_five).likely > 3


@given(some.lists(some.tuples(some.integers(0, 500), some.integers(0, 500)), max_size=60))
def test_it_is_always_one_at_least(counts: list[tuple[int, int]]) -> None:
    found = dispersion_of([(min(pair), max(pair)) for pair in counts])
    assert 1 <= found.likely <= found.at_most


@pytest.mark.parametrize("strange", [(0.5, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 2.0)])
def test_what_cannot_be_is_refused(strange: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Dispersion(*strange)
