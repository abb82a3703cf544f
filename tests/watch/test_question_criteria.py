"""The criteria of a watch about questions that are put again and again, fed with samples by hand."""

from __future__ import annotations

import pytest

from tests.watch.fed_criteria import answers, fed
from verification.judge.questions import QuestionRule
from verification.verdict import Verdict
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH, RepeatedCheck

ASKED = QuestionRule(0.01, block_s=5, blocks=240, lasting_s=10)


def health() -> RepeatedCheck:
    return RepeatedCheck("service_stays_healthy", "health", HEALTH, ASKED)


def flows() -> RepeatedCheck:
    return RepeatedCheck("user_flows_keep_working", "flows", FLOWS, ASKED)


@pytest.mark.parametrize(
    ("pattern", "verdict", "observed"),
    [
        ("++++++++", Verdict.PASS, True),
        ("+++-++++", Verdict.PASS, True),  # a single one, and the next is good
        ("+" * 30 + "-" + "+" * 31, Verdict.PASS, True),  # 1.6 %, which proves nothing against 1 %
        ("---+++", Verdict.FAIL, True),  # 10 s long, from the beginning on
        ("+++---++", Verdict.PASS, True),  # three of those that come late are not certain yet
        ("+++----++", Verdict.FAIL, True),
        ("+++--+--+--+", Verdict.FAIL, True),  # never lasting, and yet certain
        ("+++-+-+-++++", None, True),  # neither
        ("+++++++-", None, False),  # what would have come next?
        ("++++----?", Verdict.FAIL, True),
        ("+++-?---++", Verdict.FAIL, True),  # no answer does not end a row
        ("+++??+++", None, False),
        ("++", None, False),
        ("", None, False),
        ("????", None, False),
    ],
)
def test_bad_answers_are_judged_by_bounds(pattern: str, verdict: Verdict | None, observed: bool) -> None:
    found = fed(health(), answers(pattern))
    assert (found.verdict, found.observed) == (verdict, observed), found.reason
    assert found.roll_back is (verdict is Verdict.FAIL)


def test_an_unlucky_answer_is_said_with_its_bound() -> None:
    unlucky = health()
    found = fed(unlucky, answers("+" * 30 + "-" + "+" * 31))
    assert found.reason == "status is 503 (1 of 62 failed, at most 7.42 %)"
    assert (unlucky.measurement().value, unlucky.measurement().samples) == (0, 62)
    assert unlucky.measurement().note == "1 of 62 answers were bad"


def test_a_service_that_dies_is_said_to_have_died() -> None:
    dead = health()
    fed(dead, answers("+++----"))
    found = dead.judge(at_end=False)
    assert (found.verdict, found.roll_back) == (Verdict.FAIL, True)
    assert found.reason == "status is 503 (4 bad answers in a row, over 15s)"
    assert dead.measurement().value == 1


def test_missing_answers_are_no_part_of_a_row() -> None:
    criterion = health()
    fed(criterion, answers("+---???"))
    assert criterion.judge(at_end=False).verdict is None


def test_a_flow_is_broken_by_its_own_answers_only() -> None:
    criterion = flows()
    names = ("login", "content_listing", "search")
    for start in range(0, 600, 200):
        for number, name in enumerate(names):
            own = "++++++++" if start != number * 200 else "+++-++++"
            fed(criterion, answers(own, f"{FLOWS}{name}", start=start))
    assert criterion.judge(at_end=False).verdict is None, "three flows, each bad once"
    assert criterion.judge(at_end=True).verdict is Verdict.PASS
    fed(criterion, answers("----", f"{FLOWS}search", start=600))
    found = criterion.judge(at_end=False)
    assert (found.verdict, found.roll_back) == (Verdict.FAIL, True)


def test_the_worst_of_the_flows_is_what_they_come_to() -> None:
    unseen = flows()
    fed(unseen, answers("+++-", f"{FLOWS}login"))
    found = fed(unseen, answers("+++-+-+-++++", f"{FLOWS}search"))
    assert (found.verdict, found.observed) == (None, True)
    fed(unseen, answers("-----", f"{FLOWS}content_listing"))
    assert unseen.judge(at_end=True).verdict is Verdict.FAIL
