"""What a run comes to: its verdict and its exit code."""

from __future__ import annotations

from itertools import product

import pytest

from verification.records.run_record import CriterionResult, ExitCode, RollbackOutcome, RollbackResult, RunRecord
from verification.verdict import Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def run(*verdicts: Verdict, in_phase: int | None = None, phase: str = "smoke") -> RunRecord:
    criteria = [CriterionResult(f"c{number}", "", phase, verdict) for number, verdict in enumerate(verdicts)]
    return RunRecord("production", criteria=criteria, criteria_in_phase=len(criteria) if in_phase is None else in_phase)


@pytest.mark.parametrize("verdicts", list(product(Verdict, repeat=3)), ids="-".join)
def test_a_run_fails_when_anything_failed_and_passes_only_when_everything_passed(verdicts: tuple[Verdict, ...]) -> None:
    expected = FAIL if FAIL in verdicts else PASS if set(verdicts) == {PASS} else INCONCLUSIVE
    assert run(*verdicts).verdict is expected


def test_a_run_that_asked_nothing_is_inconclusive() -> None:
    assert run().verdict is INCONCLUSIVE


def test_a_run_that_left_a_criterion_out_is_at_best_inconclusive() -> None:
    assert run(PASS, in_phase=2).verdict is INCONCLUSIVE
    assert run(PASS, in_phase=2).left_out == 1
    assert run(FAIL, in_phase=2).verdict is FAIL


def test_a_run_that_was_interrupted_is_at_best_inconclusive() -> None:
    for verdict, expected in ((PASS, INCONCLUSIVE), (FAIL, FAIL)):
        record = run(verdict)
        record.interrupted = "the run was interrupted"
        assert record.verdict is expected


@pytest.mark.parametrize(("verdict", "code"), [(PASS, 0), (FAIL, 1), (INCONCLUSIVE, 75)])
def test_the_exit_code_follows_the_verdict(verdict: Verdict, code: int) -> None:
    for outcome in (RollbackOutcome.NOT_NEEDED, RollbackOutcome.DONE, RollbackOutcome.WITHHELD):
        record = run(verdict)
        record.rollback = RollbackResult(outcome, verified=True if outcome is RollbackOutcome.DONE else None)
        assert record.exit_code == code


@pytest.mark.parametrize("verdict", Verdict)
def test_a_rollback_that_did_not_get_through_outweighs_every_verdict(verdict: Verdict) -> None:
    for rollback in (RollbackResult(RollbackOutcome.FAILED), RollbackResult(RollbackOutcome.DONE, verified=False)):
        record = run(verdict)
        record.rollback = rollback
        assert record.exit_code is ExitCode.ROLLBACK_FAILED


@pytest.mark.parametrize(
    ("phase", "fixable", "triggers"),
    [
        ("smoke", True, ("c",)),
        ("deploy", True, ("c",)),
        ("monitor", True, ("c",)),
        ("pre", True, ()),
        ("followup", True, ()),
        ("smoke", False, ()),
    ],
)
def test_only_a_failure_after_the_deployment_that_a_revision_could_mend_calls_for_a_rollback(
    phase: str, fixable: bool, triggers: tuple[str, ...]
) -> None:
    record = RunRecord("production", criteria=[CriterionResult("c", "", phase, FAIL, fixable_by_rollback=fixable)])
    assert record.triggers == triggers


def test_what_was_not_measured_never_calls_for_a_rollback() -> None:
    assert run(INCONCLUSIVE, PASS).triggers == ()
