"""The benchmark judges many runs at once; what it says of the judge is what the judge says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judge.questions import smoke_outcomes
from benchmarks.judge.rules import FAIL, PASS, UNDECIDED, ours
from benchmarks.judge.scenarios import BLOCK_S, MINUTE, MOST, Blocks, Scenario, scenarios
from verification.judge.dispersion import Dispersion
from verification.judge.judgement import Judgement
from verification.judge.proportion import Block, ProportionJudge, ProportionRule
from verification.verdict import Verdict

RUNS = 3
VERDICTS = {None: UNDECIDED, Verdict.PASS: PASS, Verdict.FAIL: FAIL}


def watched(rule: ProportionRule, blocks: Blocks, run: int) -> tuple[Judgement, float]:
    """One run, judged as a watch does: until it is certain, at the end, and once more after an extension."""
    judge = ProportionJudge.start(rule)
    counts = zip(blocks.total[run], blocks.over[run], blocks.severe[run], blocks.missing[run], strict=True)
    for number, (total, over, severe, missing) in enumerate(counts, 1):
        judge = judge.after(None if missing else Block(int(total), int(over), int(over), int(severe)))
        at_end = number * rule.block_s in {900, 1800}
        found = judge.at_end() if at_end else judge.so_far
        if found.verdict is not None:
            return found, number * rule.block_s
    return judge.at_end(), 1800


@pytest.mark.parametrize(
    "scenario",
    # Slow ones, in which the two could part; every kind of truth is among them.
    [one for one in scenarios() if one.rpm in {60, 1000}][::6],
    ids=lambda one: f"{one.name} at {one.rpm}",
)
@pytest.mark.parametrize("size", [1, MINUTE])
def test_it_is_the_same_judge(scenario: Scenario, size: int) -> None:
    rule = ProportionRule(
        noun="requests failed",
        limit=scenario.limit,
        roll_back_at=0.05,
        block_s=BLOCK_S * size,
        blocks=MOST // size,
        dispersion=Dispersion(1.5, 1.8),
        baseline=(15, 30_000) if scenario.limit < 0.05 else None,
    )
    blocks = scenario.simulate(RUNS, np.random.default_rng(6)).merged(size)
    many = ours(rule, blocks)
    for run in range(RUNS):
        found, at_s = watched(rule, blocks, run)
        assert (many.verdict[run], many.at_s[run]) == (VERDICTS[found.verdict], at_s), found.reason


@pytest.mark.parametrize("share", [0.001, 0.005, 0.009])
def test_smoke_is_hardly_ever_mistaken_about_a_healthy_service(share: float) -> None:
    criteria = 9
    failed, doubted = smoke_outcomes(share)
    assert criteria * failed <= 1e-4
    assert criteria * doubted <= 0.02


def test_smoke_is_certain_of_what_is_dead_and_never_passes_what_is_bad() -> None:
    assert smoke_outcomes(1.0) == (1.0, 0.0)
    failed, doubted = smoke_outcomes(0.5)
    assert failed > 0.499
    assert failed + doubted == pytest.approx(0.5)
