"""The judge's rules to the letter, and what must hold for any blocks at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from verification.judge.proportion import Block, ProportionJudge, ProportionRule
from verification.verdict import Verdict

ERRORS = ProportionRule("requests failed", limit=0.01, roll_back_at=0.05, block_s=60, blocks=30)
# Nothing but the literal rule can decide: every burst is tolerated.
LITERAL = replace(ERRORS, burst_fail_s=9999, burst_roll_back_s=9999)


def bad(count: int, total: int = 1000) -> Block:
    """A block with as many errors."""
    return Block(total, count, count, count)


def judged(blocks: Iterable[Block | None], rule: ProportionRule = ERRORS) -> ProportionJudge:
    judge = ProportionJudge.start(rule)
    for block in blocks:
        judge = judge.after(block)
    return judge


@some.composite
def streams(draw: some.DrawFn, longest: int = 14) -> list[Block | None]:
    """Blocks of few or many requests, good and bad ones, and gaps."""

    def block() -> Block | None:
        total = draw(some.sampled_from([0, 1, 17, 400]))
        severe, over, possibly = sorted(draw(some.integers(0, total)) for _ in range(3))
        return draw(some.sampled_from([None, Block(total, over, possibly, severe), bad(0, total)]))

    return [block() for _ in range(draw(some.integers(0, longest)))]


# The literal rule.


def test_five_minutes_in_a_row_above_five_percent_roll_back() -> None:
    assert judged([bad(51)] * 4, LITERAL).so_far.verdict is None
    found = judged([bad(51)] * 5, LITERAL).so_far
    assert (found.verdict, found.roll_back, found.rule) == (Verdict.FAIL, True, "literal")
    assert found.reason == (
        "more than 5 % of requests failed in each of 5 samples in a row, of 1m each: 5.10 %, 5.10 %, 5.10 %, 5.10 %, 5.10 %"
    )


@pytest.mark.parametrize("between", [bad(50), None, bad(0, 0)], ids=["at the limit", "missing", "no request"])
def test_a_minute_that_is_not_above_begins_the_count_anew(between: Block | None) -> None:
    before = [bad(51)] * 4
    assert not judged([*before, between, *before], LITERAL).so_far.roll_back
    assert judged([*before, between, *before, bad(51)], LITERAL).so_far.roll_back


def test_the_literal_rule_counts_severe_requests_alone() -> None:
    slow = Block(total=1000, over_limit=900, possibly_over_limit=900, severe=50)
    assert not judged([slow] * 8, LITERAL).so_far.roll_back
    assert judged([replace(slow, severe=51)] * 5, LITERAL).so_far.roll_back


def test_minutes_are_put_together_from_blocks() -> None:
    """One of six blocks has them all: the minute is above 5 %. A gap in one block is a gap in its minute."""
    rule = replace(LITERAL, block_s=10, blocks=180)
    minute = [*[bad(0, 100)] * 5, bad(31, 100)]
    assert not judged([*minute * 4, *minute[:5]], rule).so_far.roll_back
    assert judged(minute * 5, rule).so_far.roll_back
    assert not judged([*minute * 4, None, *minute[1:]], rule).so_far.roll_back
    at_the_limit = [*[bad(0, 100)] * 5, bad(30, 100)]
    assert not judged([*minute * 4, *at_the_limit], rule).so_far.roll_back


def test_a_compressed_watch_has_shorter_samples_and_a_long_block_is_one() -> None:
    assert (replace(LITERAL, block_s=0.5, lasting_s=10).sample_blocks, replace(LITERAL, lasting_s=300).samples) == (
        4,
        5,
    )
    long = replace(LITERAL, block_s=150)
    assert (long.sample_blocks, long.samples) == (1, 2)


# At the end.


def test_below_the_limit_passes_and_says_how_sure_that_is() -> None:
    sure = judged([bad(1)] * 15).at_end()
    assert (sure.verdict, sure.rule) == (Verdict.PASS, "confident")
    assert sure.reason == (
        "confident: 15 of 15,000 requests failed (0.1 %, at most 0.15 % with 95 % confidence; limit 1 %)"
    )
    thin = judged([bad(0, 20)] * 15).at_end()
    assert (thin.verdict, thin.rule) == (Verdict.PASS, "confident")
    thin = judged([*[bad(0, 40)] * 5, bad(3, 40), *[bad(0, 40)] * 9]).at_end()
    assert (thin.verdict, thin.rule) == (Verdict.PASS, "thin evidence")
    assert thin.reason == (
        "thin evidence: 3 of 600 requests failed (0.5 %, at most 1.29 % with 95 % confidence; limit 1 %)"
    )


def test_what_may_well_be_twice_the_limit_does_not_pass() -> None:
    found = judged([*[bad(0, 20)] * 5, bad(2, 20), *[bad(0, 20)] * 9]).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, False, "twice the limit")
    assert found.reason == (
        "thin evidence, as many as 2.77 % are possible, with 99 % confidence no more: "
        "2 of 300 requests failed (0.67 %, at most 2.08 % with 95 % confidence; limit 1 %)"
    )


@pytest.mark.parametrize("total", [300, 450, 900, 3000])
def test_twice_the_limit_passes_once_in_a_hundred_watches_at_most(total: int) -> None:
    """Every count of bad requests that passes, weighed by how probable it is."""
    from scipy import stats

    ends = {count: judged([bad(count, total), *[bad(0, 0)] * 14]).at_end() for count in range(total // 50)}
    passing = [count for count, found in ends.items() if found.verdict is Verdict.PASS]
    assert 0 < sum(float(stats.binom.pmf(count, total, 0.02)) for count in passing) <= 0.01


def test_exactly_at_the_limit_is_not_below_it() -> None:
    blocks = [bad(10)] * 15
    found = judged(blocks).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, True, "limit")
    assert judged([*blocks[1:], bad(9)]).at_end().verdict is Verdict.PASS
    assert judged([bad(7, 100)] * 5, replace(ERRORS, limit=0.07, roll_back_at=0.5)).at_end().rule == "limit"
    assert not judged([bad(7, 100)] * 5, replace(LITERAL, roll_back_at=0.07)).so_far.roll_back


def test_what_may_be_over_the_limit_does_not_pass_and_does_not_fail() -> None:
    """A histogram's bucket that reaches across the limit: nobody knows on which side its requests were."""
    found = judged([Block(1000, over_limit=1, possibly_over_limit=200, severe=0)] * 15).at_end()
    assert (found.verdict, found.observed) == (None, True)
    assert "15 to 3,000 of 15,000 requests failed (20.0 %" in found.reason


def test_a_limit_that_is_surely_broken_fails_with_its_bound() -> None:
    """Too slowly for the early evidence, but beyond doubt at the end."""
    found = judged([bad(13)] * 18).at_end()
    assert (found.verdict, found.roll_back, found.rule) == (Verdict.FAIL, False, "exact bound")
    assert "at least 1.06 % with 99.75 % confidence, even without the worst 2m; limit 1 %)" in found.reason


@pytest.mark.parametrize("at", [0, 7, 13])
def test_a_burst_that_is_tolerated_never_fails(at: int) -> None:
    blocks = [bad(0)] * 15
    blocks[at : at + 2] = [replace(bad(1000), severe=0)] * 2
    judge = judged(blocks)
    assert (judge.so_far.verdict, judge.at_end().verdict) == (None, None)
    blocks[at : at + 3] = [replace(bad(1000), severe=0)] * 3
    assert judged(blocks[:15]).so_far.verdict is Verdict.FAIL or at == 13


def test_a_burst_that_may_not_be_over_does_not_pass() -> None:
    blocks = [*[bad(0)] * 14, bad(100)]
    found = judged(blocks).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, True, "late burst")
    assert judged([*blocks, *[bad(0)] * 2]).at_end().verdict is Verdict.PASS


def test_a_bad_end_is_a_doubt_when_it_is_hardly_chance() -> None:
    """Three of a hundred are: with a limit of 1 %, one time in twelve. Five are not: one time in three hundred."""
    assert judged([*[bad(0, 100)] * 14, bad(3, 100)]).at_end().verdict is Verdict.PASS
    assert judged([*[bad(0, 100)] * 14, bad(5, 100)]).at_end().rule == "late burst"


@pytest.mark.parametrize(
    ("blocks", "rule"),
    [
        ([], "no data"),
        ([None] * 15, "no data"),
        ([bad(0, 0)] * 15, "no data"),
        ([*[bad(0)] * 11, *[None] * 4], "missing blocks"),
        ([*[bad(0, 20)] * 14, bad(0, 19)], "minimum"),
        ([bad(1, 20)], "minimum"),
    ],
)
def test_what_was_hardly_observed_does_not_pass(blocks: list[Block | None], rule: str) -> None:
    found = judged(blocks).at_end()
    assert (found.verdict, found.observed, found.rule) == (None, False, rule)


def test_a_fifth_of_the_blocks_may_be_missing() -> None:
    assert judged([*[bad(0)] * 12, *[None] * 3]).at_end().verdict is Verdict.PASS


def test_too_little_is_enough_when_it_is_certain() -> None:
    found = judged([None, None, None, bad(99, 100), None, bad(100, 100), bad(100, 100)]).at_end()
    assert (found.verdict, found.roll_back) == (Verdict.FAIL, True)
    assert found.reason.startswith("199 of 200 requests failed")


# Early.


def test_certainty_rolls_back_long_before_five_minutes() -> None:
    found = judged([bad(200)] * 2).so_far
    assert (found.verdict, found.roll_back, found.rule) == (Verdict.FAIL, True, "certain")
    assert found.reason == (
        "400 of 2,000 requests failed (20.0 %, more than 5 % with 99.95 % confidence, even without the worst 1m)"
    )


def test_a_broken_limit_fails_at_once_and_rolls_back_later_if_it_becomes_severe() -> None:
    judge = judged([bad(30)] * 4)
    assert (judge.so_far.verdict, judge.so_far.roll_back, judge.so_far.rule) == (Verdict.FAIL, False, "limit")
    for _ in range(2):
        judge = judge.after(bad(500))
    assert (judge.so_far.roll_back, judge.so_far.rule) == (True, "certain")


def test_a_verdict_stays() -> None:
    judge = judged([bad(200)] * 2)
    later = judge
    for _ in range(20):
        later = later.after(bad(0))
    assert later.so_far == later.at_end() == judge.so_far


def test_worse_than_before_the_deployment_fails_below_the_limit() -> None:
    before = replace(ERRORS, baseline=(15, 30_000))
    found = judged([bad(60, 10_000)] * 5, before).so_far
    assert (found.verdict, found.rule) == (Verdict.FAIL, "baseline")
    assert "which is worse than 15 of 30,000 before the deployment" in found.reason
    assert judged([bad(60, 10_000)] * 15).at_end().verdict is Verdict.PASS
    assert judged([bad(5, 10_000)] * 15, before).at_end().verdict is Verdict.PASS


@pytest.mark.parametrize("baseline", [(0, 0), (900, 1000), (1, 10)])
def test_a_baseline_that_asks_for_less_than_the_limit_asks_for_nothing(baseline: tuple[int, int]) -> None:
    assert replace(ERRORS, baseline=baseline).baseline_limit is None


# For any blocks.


@given(streams())
@settings(max_examples=30)
def test_the_same_blocks_give_the_same_judge(blocks: list[Block | None]) -> None:
    once, again = judged(blocks), judged(blocks)
    assert once == again
    assert (once.so_far, once.at_end()) == (again.so_far, again.at_end())


@given(streams(), some.integers(0, 13), some.integers(1, 400))
@settings(max_examples=30)
def test_more_bad_requests_are_never_better(blocks: list[Block | None], at: int, more: int) -> None:
    place = min(at, len(blocks) - 1)
    one = blocks[place] if blocks else None
    if one is None:
        return
    worse = Block(
        one.total, *(min(one.total, count + more) for count in (one.over_limit, one.possibly_over_limit, one.severe))
    )
    before, after = judged(blocks), judged([*blocks[:place], worse, *blocks[place + 1 :]])
    assert after.so_far.verdict is Verdict.FAIL or before.so_far.verdict is None
    assert after.so_far.roll_back >= before.so_far.roll_back
    if after.at_end().verdict is Verdict.PASS:
        assert before.at_end().verdict is Verdict.PASS


@given(streams(8), some.sampled_from([None, bad(0, 0)]))
@settings(max_examples=30)
def test_what_was_not_observed_decides_nothing(blocks: list[Block | None], nothing: Block | None) -> None:
    before, after = judged(blocks), judged([*blocks, nothing])
    assert after.decided == before.decided
    assert after.so_far.reason == before.so_far.reason


@given(some.lists(some.integers(0, 9), min_size=90, max_size=90))
@settings(max_examples=8)
def test_blocks_of_a_minute_and_of_ten_seconds_end_alike(counts: list[int]) -> None:
    """Without a tolerated burst, whose length is counted in blocks, the end depends on the sums alone."""
    fine = replace(ERRORS, block_s=10, blocks=90, burst_fail_s=0, burst_roll_back_s=0)
    short = judged([bad(count, 500) for count in counts], fine)
    minutes = [bad(sum(counts[at : at + 6]), 3000) for at in range(0, 90, 6)]
    long = judged(minutes, replace(fine, block_s=60, blocks=15))
    ends = short.at_end(), long.at_end()
    if short.decided is None and long.decided is None and all(end.rule != "late burst" for end in ends):
        assert ends[0] == ends[1]


# What cannot be.


@pytest.mark.parametrize(
    "counts", [(-1, 0, 0, 0), (math.nan, 0, 0, 0), (math.inf, 0, 0, 0), (1.5, 1, 1, 1), (True, 0, 0, 0), ("9", 0, 0, 0)]
)
def test_counts_that_are_none_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="whole numbers from 0 on"):
        Block(*counts)


@pytest.mark.parametrize("counts", [(1, 2, 2, 0), (5, 2, 1, 0), (5, 1, 1, 2)])
def test_more_bad_requests_than_requests_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="<= total"):
        Block(*counts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0.0},
        {"roll_back_at": 1.0},
        {"limit": math.nan},
        {"block_s": 0.0},
        {"burst_fail_s": -1.0},
        {"lasting_s": math.inf},
        {"blocks": 0},
        {"baseline": (3, 2)},
        {"baseline": (-1, 2)},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(ERRORS, **wrong)  # type: ignore[arg-type]


def test_more_blocks_than_the_watch_may_have_are_refused() -> None:
    with pytest.raises(ValueError, match="2 blocks at most"):
        judged([bad(0)] * 3, replace(ERRORS, blocks=2))
