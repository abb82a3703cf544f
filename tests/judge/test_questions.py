"""The judge of the suite's own questions: one bad answer proves nothing, and what is dead is found at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from verification.judge.confirmation import ALPHA
from verification.judge.questions import QuestionJudge, QuestionRule
from verification.judge.sequential_test import Evidence, ratios_against
from verification.verdict import Verdict

EVERY, WATCH = 5.0, 180  # 15 minutes
HEALTH = QuestionRule(0.01, block_s=EVERY, blocks=2 * WATCH + 60, lasting_s=30)
FLOW = replace(HEALTH, lasting_s=0)
PASS, FAIL = (Verdict.PASS, True), (Verdict.FAIL, True)
AMBIGUOUS, UNSEEN = (None, True), (None, False)


def course(pattern: str, rule: QuestionRule = HEALTH, every: float = EVERY) -> Iterator[QuestionJudge]:
    """The judge after each answer: `+` a good one, `-` a bad one, `?` none."""
    judge = QuestionJudge.start(rule)
    for number, answer in enumerate(pattern):
        if answer != "?":
            judge = judge.after(every * number, good=answer == "+")
        yield judge


def judged(pattern: str, rule: QuestionRule = HEALTH, every: float = EVERY) -> QuestionJudge:
    """The judge after the last answer."""
    return deque(course(pattern, rule, every), maxlen=1).pop() if pattern else QuestionJudge.start(rule)


def certain_after(pattern: str, rule: QuestionRule = HEALTH) -> int | None:
    """After how many answers it was certain."""
    return next((number for number, judge in enumerate(course(pattern, rule), 1) if judge.decided), None)


@pytest.mark.parametrize(
    ("pattern", "rule", "answers"),
    [
        ("-" * 9, FLOW, 3),  # dead from the beginning
        ("+" * 100 + "-" * 9, FLOW, 104),  # it worked before
        ("-" * 9, HEALTH, 7),  # and lasted for 30 seconds
        ("+" * 100 + "-" * 9, HEALTH, 107),
        ("+" * 100 + "-??-??--", HEALTH, 108),  # no answer is no end of a row, and no part of it
        ("+-" * 30, FLOW, 8),
        ("+-" * 30, HEALTH, 14),
        ("++-" * 30, HEALTH, 21),
        (("+" * 4 + "-") * 40, HEALTH, 40),
        ("+" * 50 + "------" + "+" * 124, HEALTH, None),  # a burst that did not last
        (("+" * 29 + "-") * 6, FLOW, None),
    ],
)
def test_it_is_certain_after_so_many_answers(pattern: str, rule: QuestionRule, answers: int | None) -> None:
    assert certain_after(pattern, rule) == answers


def test_asking_more_often_in_a_short_outage_makes_it_no_longer() -> None:
    outage = "+" * 300 + "-" * 58 + "+" * 300
    assert judged(outage, every=0.5).at_end().verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("+" * 62, PASS),
        ("+" * 30 + "-" + "+" * 31, PASS),  # 1.6 %
        ("+" * 19 + "-" + "+" * 20 + "-" + "+" * 20, PASS),
        (("+" * 19 + "-") * 8 + "+" * 20, AMBIGUOUS),  # 4.4 %
        ("+" * 50 + "------" + "+" * 124, PASS),
        ("+" * 50 + "------" + "+" * 20 + "-" + "+" * 20 + "-" + "+" * 82, PASS),
        ("+" * 174 + "------", AMBIGUOUS),  # dead, and not for long yet
        ("+" * 179 + "-", UNSEEN),
        ("-", UNSEEN),
        ("", UNSEEN),
        ("-" * 60, FAIL),
    ],
)
def test_the_end_is_judged_by_bounds(pattern: str, found: tuple[Verdict | None, bool]) -> None:
    judgement = judged(pattern).at_end()
    assert (judgement.verdict, judgement.observed) == found, judgement.reason
    assert judgement.roll_back is (judgement.verdict is Verdict.FAIL)


def test_it_says_its_numbers() -> None:
    assert judged("+" * 30 + "-" + "+" * 31).at_end().reason == "1 of 62 failed, at most 7.42 %"
    assert judged("+" * 9).at_end().reason == "0 of 9 failed"
    assert judged("-" * 9).so_far.reason == "7 bad answers in a row, over 30s"
    assert judged("+-" * 9).so_far.reason == (
        "7 of 14 failed, more than 1 % with 99.99 % confidence, even without the worst 30s"
    )
    assert judged(("+" * 19 + "-") * 8 + "+" * 20).at_end().reason == (
        "8 of 180 failed, at least 1.35 % with 99 % confidence, even without the worst 30s"
    )


@pytest.mark.parametrize("share", [0.001, 0.005, 0.009])
def test_a_healthy_service_passes(share: float) -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        answers = "".join("-" if bad else "+" for bad in rng.random(WATCH) < share)
        assert judged(answers + "+").at_end().verdict is Verdict.PASS, answers


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_service_that_is_bad_is_found(share: float) -> None:
    rng = np.random.default_rng(9)
    for _ in range(10):
        answers = "".join("-" if bad else "+" for bad in rng.random(WATCH) < share)
        assert judged(answers).at_end().verdict is Verdict.FAIL, answers


@pytest.mark.parametrize("burst", [0, HEALTH.burst_blocks])
def test_its_evidence_is_never_more_than_it_may_be(burst: int) -> None:
    runs, blocks = 4000, 60
    bad = np.random.default_rng(4).random((blocks, runs)) < HEALTH.limit
    evidence = Evidence.start(burst, blocks, len(HEALTH.shares), (runs,))
    most = np.full(runs, -np.inf)
    for block in bad:
        evidence = evidence.after(ratios_against(HEALTH.shares, block, 1, HEALTH.limit), observed=True)
        most = np.maximum(most, evidence.log)
    for alpha in (0.1, 0.01, 0.001):
        assert np.mean(most >= -np.log(alpha)) <= alpha
    assert np.mean(most >= -np.log(ALPHA)) <= ALPHA


@given(some.text("+-?", max_size=60), some.sampled_from([HEALTH, FLOW]))
def test_a_bad_answer_more_never_acquits(pattern: str, rule: QuestionRule) -> None:
    before, after = judged(pattern, rule), judged(f"{pattern}-", rule)
    assert before.so_far.verdict is None or after.so_far == before.so_far
    assert after.at_end().verdict is not Verdict.PASS


@pytest.mark.parametrize(
    "strange", [{"limit": 0.0}, {"limit": 0.98}, {"block_s": 0.0}, {"lasting_s": -1.0}, {"blocks": 0}]
)
def test_a_rule_that_makes_no_sense_is_refused(strange: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(HEALTH, **strange)  # type: ignore[arg-type]
