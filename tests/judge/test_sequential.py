"""The mathematics beneath the judge: its error rates by simulation, its bounds against SciPy's distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from verification.judge.sequential_test import (
    Evidence,
    Floats,
    alternatives,
    count_bounds,
    count_ratios,
    lower_bound,
    lower_bound_lately,
    lower_bound_outside_burst,
    share_ratios,
    upper_bound,
)

RUNS, BLOCKS, BURST = 1500, 20, 2


def greatest(ratios: list[Floats], observed: list[bool] | None = None, burst: int = BURST) -> Floats:
    """The greatest evidence of each run at any time, as a multiple."""
    evidence = Evidence.start(burst, len(ratios), ratios[0].shape[-1], ratios[0].shape[:-1])
    most = np.full(ratios[0].shape[:-1], -np.inf)
    for block, one in enumerate(ratios):
        evidence = evidence.after(one, np.full(most.shape, observed[block] if observed else True))
        most = np.maximum(most, evidence.log)
    return np.asarray(np.exp(most))


@pytest.mark.parametrize("share", [0.05, 0.01])
@pytest.mark.parametrize("burst", [False, True])
def test_false_alarms_are_as_rare_as_promised_however_often_one_looks(share: float, burst: bool) -> None:
    """At the limit itself, and with everything bad in one burst; alpha 5 %, with four standard errors to spare."""
    rng = np.random.default_rng(1)
    bad = rng.binomial(100, share, (BLOCKS, RUNS))
    if burst:
        bad[10 : 10 + BURST] = 100
    found = greatest([share_ratios(one, 100, share) for one in bad])
    assert np.mean(found >= 20) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / RUNS)


def test_one_block_more_than_tolerated_is_evidence() -> None:
    bad = np.zeros((BLOCKS, 1), dtype=int)
    bad[10 : 10 + BURST] = 50
    quiet = [share_ratios(one, 100, 0.01) for one in bad]
    assert greatest(quiet)[0] < 1
    bad[10 + BURST] = 50
    assert greatest([share_ratios(one, 100, 0.01) for one in bad])[0] > 1e6


def test_clustered_errors_are_tempered_by_their_dispersion() -> None:
    """Every error counted five times: five times the variance. Untempered, that would be taken for a fault."""
    rng = np.random.default_rng(2)
    bad = 5 * rng.binomial(40, 0.05, (BLOCKS, RUNS))
    tempered = greatest([share_ratios(one, 200, 0.05, dispersion=5) for one in bad], burst=0)
    plain = greatest([share_ratios(one, 200, 0.05) for one in bad], burst=0)
    assert np.mean(tempered >= 20) <= 0.05 < np.mean(plain >= 20)


@pytest.mark.parametrize("factors", [(0.01, 0.3, 0.7), (1.5, 3.0, 10.0, 40.0)])
def test_false_alarms_of_counts_are_as_rare(factors: tuple[float, ...]) -> None:
    rng = np.random.default_rng(3)
    ratios = [count_ratios(one, np.full(RUNS, 8.0), factors) for one in rng.poisson(8, (BLOCKS, RUNS))]
    assert np.mean(greatest(ratios) >= 20) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / RUNS)


@given(
    some.lists(some.tuples(some.integers(0, 9), some.integers(0, 30)), min_size=1, max_size=12), some.integers(0, 11)
)
@settings(max_examples=30)
def test_a_bad_request_more_never_weakens_the_evidence(blocks: list[tuple[int, int]], at: int) -> None:
    place = at % len(blocks)
    worse = [(bad + (block == place), good) for block, (bad, good) in enumerate(blocks)]

    def log(counts: list[tuple[int, int]]) -> float:
        evidence = Evidence.start(BURST, 20)
        for bad, good in counts:
            # As many requests as the worse stream has: one of them is bad there, and good here.
            evidence = evidence.after(share_ratios(bad, 10 + good + bad, 0.05), observed=True)
        return float(evidence.log)

    same = [(bad, good + (block == place)) for block, (bad, good) in enumerate(blocks)]
    assert log(worse) >= log(same)


@given(some.lists(some.integers(0, 10), min_size=1, max_size=10), some.integers(0, 10))
@settings(max_examples=30)
def test_a_block_without_requests_leaves_the_evidence_as_it_was(bad: list[int], at: int) -> None:
    """Without a burst it does so wherever it lies; with one, whose place is counted in blocks, at the end."""

    def log(counts: list[int | None], burst: int) -> float:
        evidence = Evidence.start(burst, 20)
        for one in counts:
            if one is None:
                evidence = evidence.after_gap()
            else:
                evidence = evidence.after(share_ratios(one, 100, 0.05), observed=True)
        return float(evidence.log)

    place = min(at, len(bad))
    assert log([*bad[:place], None, *bad[place:]], 0) == log([*bad], 0)
    assert log([*bad, None], BURST) == log([*bad], BURST)


def test_many_runs_at_once_are_judged_as_single_ones() -> None:
    rng = np.random.default_rng(4)
    bad, total = rng.binomial(50, 0.08, (BLOCKS, 20)), rng.choice([0, 50], (BLOCKS, 20))
    bad = np.minimum(bad, total)
    together = Evidence.start(BURST, BLOCKS, runs=(20,))
    alone = [Evidence.start(BURST, BLOCKS) for _ in range(20)]
    for block in range(BLOCKS):
        together = together.after(share_ratios(bad[block], total[block], 0.05), total[block] > 0)
        for run in range(20):
            ratios = share_ratios(bad[block, run], total[block, run], 0.05)
            alone[run] = alone[run].after(ratios, bool(total[block, run]))
    np.testing.assert_array_equal(together.log, [float(one.log) for one in alone])


def test_what_would_overflow_does_not() -> None:
    with np.errstate(all="raise", under="ignore"):
        evidence = Evidence.start(0, 10).after(share_ratios(10**9, 10**9, 0.01), observed=True)
        assert 1e9 < float(evidence.log) < np.inf
        evidence = evidence.after(share_ratios(0, 10**12, 0.01), observed=True)
        assert float(evidence.log) < 0


@given(some.integers(0, 50), some.integers(1, 500), some.sampled_from([0.0025, 0.05]))
@settings(max_examples=30)
def test_the_bounds_of_a_share_are_those_of_clopper_and_pearson(bad: int, more: int, alpha: float) -> None:
    from scipy import stats

    total = bad + more
    exact = stats.binomtest(bad, total).proportion_ci(1 - 2 * alpha, "exact")
    assert float(lower_bound(bad, total, alpha)) == pytest.approx(exact.low, abs=1e-9)
    assert float(upper_bound(bad, total, alpha)) == pytest.approx(exact.high, abs=1e-9)
    assert float(lower_bound(bad, total, alpha, 3.0)) <= exact.low + 1e-12
    assert float(upper_bound(bad, total, alpha, 3.0)) >= exact.high - 1e-12


def test_the_bounds_at_the_edges() -> None:
    assert (float(lower_bound(0, 10, 0.05)), float(upper_bound(10, 10, 0.05))) == (0.0, 1.0)
    assert (float(lower_bound(0, 0, 0.05)), float(upper_bound(0, 0, 0.05))) == (0.0, 1.0)


def test_the_bounds_of_a_count_are_those_of_garwood() -> None:
    assert count_bounds(30, 0.05)[1] == pytest.approx(40.69, rel=1e-3)
    low, high = count_bounds(0, 0.05)
    assert low == 0.0
    assert high == pytest.approx(-math.log(0.05))


@pytest.mark.parametrize("expected", [0.5, 3.0, 40.0])
def test_the_bounds_of_a_count_are_wrong_no_more_often_than_they_say(expected: float) -> None:
    from scipy import stats

    counts = np.arange(0, 200)
    probable = stats.poisson(expected).pmf(counts)
    low, high = zip(*(count_bounds(int(one), 0.05) for one in counts), strict=True)
    assert probable[np.array(low) > expected].sum() <= 0.05
    assert probable[np.array(high) < expected].sum() <= 0.05


def test_the_bound_outside_of_a_burst_leaves_out_the_worst_blocks() -> None:
    bad, total = [1, 0, 90, 80, 2, 0], [100] * 6
    assert float(lower_bound_outside_burst(bad, total, 2, 0.05)) == float(lower_bound(3, 400, 0.05))
    assert float(lower_bound_outside_burst(bad, total, 0, 0.05)) == float(lower_bound(173, 600, 0.05))
    assert float(lower_bound_outside_burst(bad, total, 9, 0.05)) == 0.0


def test_the_late_bound_looks_at_every_length_of_the_end() -> None:
    bad, total = [90, 0, 5, 20], [100] * 4
    assert float(lower_bound_lately(bad, total, 3, 0.05)) == float(lower_bound(20, 100, 0.05))
    assert float(lower_bound_lately(bad, total, 4, 0.05)) == float(lower_bound(115, 400, 0.05))


@pytest.mark.parametrize("limit", [0.0001, 0.05, 0.9])
def test_every_alternative_is_worse_than_the_limit(limit: float) -> None:
    assert (alternatives(limit) > limit).all()
    assert (alternatives(limit) <= 0.95).all()


@pytest.mark.parametrize("limit", [0.0, 0.95, 1.0])
def test_a_limit_that_nothing_is_worse_than_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="leaves nothing that is worse"):
        alternatives(limit)
