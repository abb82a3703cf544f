"""The judge of counts: traffic that drops."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from verification.judge.rate import CountBlock, RateJudge, RateRule
from verification.verdict import Verdict

TRAFFIC = RateRule(0.5, block_s=60, blocks=30)  # 30 a minute are asked for


def judged(counts: Iterable[int | None], rule: RateRule) -> RateJudge:
    judge = RateJudge.start(rule)
    for count in counts:
        judge = judge.after(None if count is None else CountBlock(count, rule.block_s))
    return judge


def test_half_the_traffic_is_enough_to_the_letter() -> None:
    found = judged([30] * 15, TRAFFIC).at_end()
    assert (found.verdict, found.rule) == (Verdict.PASS, "thin evidence")
    assert found.reason == "450 requests in 15m (30 a minute, at least 30 a minute expected): thin evidence"
    assert judged([60] * 15, TRAFFIC).at_end().rule == "confident"
    found = judged([*[30] * 14, 29], TRAFFIC).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, True, "limit")


def test_traffic_that_is_gone_fails_after_the_tolerated_gap() -> None:
    assert judged([60, 0, 0], TRAFFIC).so_far.verdict is None
    found = judged([60, 0, 0, 0], TRAFFIC).so_far
    assert (found.verdict, found.roll_back, found.rule) == (Verdict.FAIL, False, "certain")
    assert found.reason == (
        "60 requests in 4m (15 a minute, at least 30 a minute expected): "
        "fewer than the limit with 99.95 % confidence, even without the worst 2m"
    )


def test_traffic_that_is_gone_at_the_end_does_not_pass() -> None:
    found = judged([*[60] * 13, 0, 0], TRAFFIC).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, True, "late burst")


@pytest.mark.parametrize(
    ("counts", "rule"), [([], "no data"), ([None] * 9, "no data"), ([*[60] * 11, *[None] * 4], "missing blocks")]
)
def test_what_was_hardly_observed_does_not_pass(counts: list[int | None], rule: str) -> None:
    found = judged(counts, TRAFFIC).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, False, rule)


def test_dispersion_makes_it_slower_and_never_quicker() -> None:
    restless = replace(TRAFFIC, dispersion=30)
    assert judged([0] * 4, TRAFFIC).so_far.verdict is Verdict.FAIL
    assert judged([0] * 4, restless).so_far.verdict is None
    assert judged([0] * 20, restless).so_far.verdict is Verdict.FAIL


@given(some.lists(some.one_of(some.none(), some.integers(0, 80)), max_size=10), some.integers(0, 9))
@settings(max_examples=25)
def test_fewer_requests_are_never_better_and_gaps_decide_nothing(counts: list[int | None], at: int) -> None:
    judge = judged(counts, TRAFFIC)
    assert judge == judged(counts, TRAFFIC)
    assert judge.after(None).decided == judge.decided
    fewer = [count // 2 if count and place == at else count for place, count in enumerate(counts)]
    if judge.so_far.verdict is Verdict.FAIL:
        assert judged(fewer, TRAFFIC).so_far.verdict is Verdict.FAIL
    if judged(fewer, TRAFFIC).at_end().verdict is Verdict.PASS:
        assert judge.at_end().verdict is Verdict.PASS


def test_healthy_traffic_raises_no_alarm() -> None:
    rng = np.random.default_rng(5)
    for counts in rng.poisson(40, (40, 30)).tolist():
        assert judged(counts, TRAFFIC).so_far.verdict is None
    few = replace(TRAFFIC, limit=0.5 / 60)  # one in two minutes
    for counts in rng.poisson(1, (40, 30)).tolist():
        assert judged(counts, few).so_far.verdict is None


@pytest.mark.parametrize("wrong", [(-1, 60), (math.nan, 60), (1.5, 60), (1, 0), (1, math.inf), (1, math.nan)])
def test_counts_that_are_none_are_refused(wrong: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CountBlock(*wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0.0}, {"block_s": 0.0}, {"block_s": math.inf}, {"limit": math.nan}, {"dispersion": 0.0}, {"blocks": 0}],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(TRAFFIC, **wrong)  # type: ignore[arg-type]


def test_more_blocks_than_the_watch_may_have_are_refused() -> None:
    with pytest.raises(ValueError, match="30 blocks at most"):
        judged([60] * 31, TRAFFIC)
