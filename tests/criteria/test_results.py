"""One result out of the three reports that pytest makes of a criterion."""

from __future__ import annotations

import pytest

from verification.criteria.results import CriterionResults, StageResult
from verification.verdict import Measurement, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
STAGES = ("setup", "call", "teardown")


def report(
    when: str, verdict: Verdict, measurements: int = 0, seconds: float = 0.0, nodeid: str = "a"
) -> pytest.TestReport:
    """A report that is annotated as the wiring does it."""
    made = pytest.TestReport(
        nodeid,
        ("a.py", 1, "a"),
        {},
        "passed" if verdict is PASS else "failed",
        None,
        when,  # type: ignore[arg-type]
        duration=0.25,
    )
    measured = tuple(Measurement(str(number), number) for number in range(measurements))
    reason = "" if verdict is PASS else f"{when} is {verdict}"
    made.stage = StageResult(  # type: ignore[attr-defined]
        verdict, reason, id="a", title="A.", phase="smoke", measurements=measured, seconds=seconds
    )
    return made


@pytest.mark.parametrize(
    ("verdicts", "expected", "reason"),
    [
        ((PASS, PASS, PASS), PASS, ""),
        ((PASS, FAIL, PASS), FAIL, "call is fail"),
        ((PASS, INCONCLUSIVE, PASS), INCONCLUSIVE, "call is inconclusive"),
        ((PASS, PASS, INCONCLUSIVE), INCONCLUSIVE, "teardown is inconclusive"),
        ((PASS, PASS, FAIL), FAIL, "teardown is fail"),
        ((PASS, FAIL, INCONCLUSIVE), FAIL, "call is fail"),
        ((PASS, INCONCLUSIVE, FAIL), FAIL, "teardown is fail"),
        ((INCONCLUSIVE, PASS, PASS), INCONCLUSIVE, "setup is inconclusive"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_the_worst_stage_decides_and_gives_the_reason(
    verdicts: tuple[Verdict, ...], expected: Verdict, reason: str
) -> None:
    results = CriterionResults()
    noted = [results.add(report(when, verdict)) for when, verdict in zip(STAGES, verdicts, strict=True)]
    assert noted[-1] is not None
    assert (noted[-1].verdict, noted[-1].reason) == (expected, reason)


def test_what_was_set_up_and_never_asked_does_not_pass() -> None:
    """`--setup-only` and `--setup-plan` leave the criterion's own code out."""
    results = CriterionResults()
    noted = [results.add(report(when, PASS)) for when in ("setup", "teardown")]
    assert noted[-1] is not None
    assert noted[-1].verdict is INCONCLUSIVE
    assert noted[-1].reason


def test_a_set_up_that_fails_stays_the_reason() -> None:
    results = CriterionResults()
    noted = [results.add(report("setup", FAIL)), results.add(report("teardown", PASS))]
    assert noted[-1] is not None
    assert (noted[-1].verdict, noted[-1].reason) == (FAIL, "setup is fail")


def test_a_failure_is_known_as_soon_as_it_is_reported_and_once_more_at_the_end() -> None:
    results = CriterionResults()
    noted = [results.add(report(when, FAIL if when == "call" else PASS)) for when in STAGES]
    assert [one is not None for one in noted] == [False, True, True]


def test_a_failure_that_is_reported_twice_is_told_once() -> None:
    """As where a criterion has subtests: each failed one has a report, and so has the whole."""
    results = CriterionResults()
    assert results.add(report("call", FAIL)) is not None
    assert results.add(report("call", FAIL)) is None


def test_nothing_else_is_known_before_the_end() -> None:
    results = CriterionResults()
    noted = [results.add(report(when, INCONCLUSIVE)) for when in STAGES]
    assert [one is not None for one in noted] == [False, False, True]


def test_what_was_measured_stays_whichever_stage_decides() -> None:
    results = CriterionResults()
    results.add(report("call", FAIL, measurements=2))
    noted = results.add(report("teardown", PASS, measurements=2))
    assert noted is not None
    assert len(noted.measurements) == 2


def test_the_time_of_a_criterion_is_that_of_its_stages_or_of_its_probes_if_that_is_more() -> None:
    for probes, expected in ((0.0, 0.75), (9.0, 9.0)):
        results = CriterionResults()
        for when in STAGES:
            noted = results.add(report(when, PASS, seconds=probes))
        assert noted is not None
        assert noted.seconds == expected


def test_criteria_do_not_mix_and_a_test_that_is_none_is_not_noted() -> None:
    results = CriterionResults()
    results.add(report("call", FAIL, nodeid="a"))
    results.add(report("call", PASS, nodeid="b"))
    good = results.add(report("teardown", PASS, nodeid="b"))
    assert good is not None
    assert good.verdict is PASS
    plain = report("call", FAIL, nodeid="c")
    del plain.stage
    assert results.add(plain) is None
    assert results.result("c") is None


def test_a_traceback_is_worth_reading_only_where_a_criterion_itself_broke() -> None:
    results = CriterionResults()
    results.add(report("call", FAIL))
    assert not results.broken
    broken = report("call", INCONCLUSIVE, nodeid="b")
    broken.stage = StageResult(INCONCLUSIVE, "TypeError", expected=False)  # type: ignore[attr-defined]
    results.add(broken)
    assert results.broken
