"""From the end of a test to a verdict: who is to blame decides, not where it broke.

Only what says something bad *about the service* is a fail: a `ServiceError`, a plain `assert`, `pytest.fail()`.
Whatever else stops a criterion (an observer that is down, a timeout of the suite's own, a mistake in the criterion)
leaves it inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from verification.errors import NotRevisionRelated, ServiceError, VerificationError
from verification.redaction import redact
from verification.verdict import Verdict

_MOST = 8_000  # characters: an assertion may hold a whole answer of the service
_OUR_TIMEOUT = "Timeout ("  # how pytest-timeout words its own failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one stage (set-up, call, teardown) of a criterion, with its reason and remedy, redacted."""

    verdict: Verdict
    reason: str = ""
    remedy: str = ""
    expected: bool = True  # False: a mistake in the criterion itself, whose traceback is worth reading
    mendable: bool = True  # whether another revision could do better

    def worst(self, other: Outcome) -> Outcome:
        """The worse of the two: fail before inconclusive before pass."""
        order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
        return min(self, other, key=lambda one: order.index(one.verdict))


PASSED = Outcome(Verdict.PASS)


def outcome_of(report: pytest.TestReport, error: BaseException | None) -> Outcome:
    """The outcome of one stage, from pytest's report and what was raised."""
    if report.passed:
        return PASSED
    if report.skipped:
        return Outcome(
            Verdict.INCONCLUSIVE, _clean(f"skipped: {error}"), "A criterion that is skipped was not measured."
        )
    if isinstance(error, VerificationError):
        verdict = Verdict.FAIL if isinstance(error, ServiceError) else Verdict.INCONCLUSIVE
        mendable = not isinstance(error, NotRevisionRelated)
        return Outcome(verdict, _clean(error.cause), _clean(error.remedy), mendable=mendable)
    if isinstance(error, pytest.fail.Exception) and str(error).startswith(_OUR_TIMEOUT):
        return Outcome(Verdict.INCONCLUSIVE, _clean(f"the criterion did not end: {error}"), "", expected=False)
    if error is None:  # nothing was raised: `xfail` expected it to
        remedy = "Take the mark `xfail` out if what was wrong is mended."
        return Outcome(Verdict.INCONCLUSIVE, _clean(f"it did not fail as expected: {report.longreprtext}"), remedy)
    if isinstance(error, pytest.fail.Exception) or (isinstance(error, AssertionError) and not _is_pytests(error)):
        return Outcome(Verdict.FAIL, _clean(str(error) or report.longreprtext), "", expected=False)
    words = f"the criterion itself broke: {type(error).__name__}: {error}"
    return Outcome(
        Verdict.INCONCLUSIVE, _clean(words), "Mend the criterion; this says nothing about the service.", expected=False
    )


def _is_pytests(error: AssertionError) -> bool:
    """Whether pytest asserted that, about itself: what it says of its own state says nothing about the service."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__", "")).startswith(("_pytest.", "pluggy."))


def _clean(text: str) -> str:
    # Cleaned before it is cut: half a secret would not be known as one.
    cleaned = redact(text.strip())
    return cleaned if len(cleaned) <= _MOST else cleaned[:_MOST] + "…"
