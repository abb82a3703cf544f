"""From the three stages (set-up, call, teardown) that pytest reports of a criterion to its one result.

Only what says something bad *about the service* is a fail: a `ServiceError`, a plain `assert`, `pytest.fail()`.
Whatever else stops a criterion (an observer that is down, a timeout of the suite's own, a mistake in the criterion)
is inconclusive: who is to blame decides, not where it broke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from verification.criteria.criterion import criterion_id, phase_of, title_of
from verification.criteria.remedies import hint
from verification.errors import NotRevisionRelated, ServiceError, VerificationError
from verification.records.run_record import POST_DEPLOY_PHASES, CriterionResult, RunRecord
from verification.redaction import redact
from verification.settings.model import Settings
from verification.verdict import WORST_FIRST, Measurement, Verdict

_LONGEST_REASON = 8_000  # characters: an assertion may hold a whole answer of the service
_OUR_TIMEOUT = "Timeout ("  # how pytest-timeout words its own failure
_INTERRUPTIONS = {2: "the run was interrupted", 3: "pytest broke", 4: "the run was called wrongly"}


@dataclass(frozen=True, slots=True)
class StageResult:
    """What one stage of a criterion came to; `reason` and `remedy` are redacted.

    `expected` is False for a mistake in the criterion itself, whose traceback is worth reading.
    """

    verdict: Verdict
    reason: str = ""
    remedy: str = ""
    appendix: str = ""  # the checklist's first aid for such a failure
    expected: bool = True
    fixable_by_rollback: bool = True
    id: str = ""
    title: str = ""
    phase: str = ""
    measurements: tuple[Measurement, ...] = ()
    seconds: float = 0.0  # what the criterion's probes took

    def worst(self, later: StageResult) -> StageResult:
        """The worse of the two, fail before inconclusive before pass, with everything that was measured by `later`."""
        decides = min(self, later, key=lambda stage: WORST_FIRST.index(stage.verdict))
        return replace(decides, measurements=later.measurements, seconds=max(self.seconds, later.seconds))


def judge_stage(report: pytest.TestReport, error: BaseException | None) -> StageResult:
    """The verdict on one stage, from pytest's report and what was raised."""
    if report.passed:
        return StageResult(Verdict.PASS)
    if report.skipped:
        return _inconclusive(f"skipped: {error}", "A criterion that is skipped was not measured.")
    if isinstance(error, VerificationError):
        verdict = Verdict.FAIL if isinstance(error, ServiceError) else Verdict.INCONCLUSIVE
        fixable = not isinstance(error, NotRevisionRelated)
        reason = "; ".join([error.cause, *getattr(error, "__notes__", ())])
        return StageResult(verdict, _clean(reason), _clean(error.remedy), fixable_by_rollback=fixable)
    if _is_our_timeout(error):
        return _inconclusive(f"the criterion did not end: {error}", expected=False)
    if error is None:  # nothing was raised: `xfail` expected it to
        remedy = "Take the mark `xfail` out if what was wrong is mended."
        return _inconclusive(f"it did not fail as expected: {report.longreprtext}", remedy)
    if blames_service(error):
        reason = "; ".join([str(error) or report.longreprtext, *getattr(error, "__notes__", ())])
        return StageResult(Verdict.FAIL, _clean(reason), expected=False)
    remedy = "Mend the criterion; this says nothing about the service."
    return _inconclusive(f"the criterion itself broke: {type(error).__name__}: {error}", remedy, expected=False)


def blames_service(error: BaseException) -> bool:
    """Whether what a criterion raised says something bad about the service."""
    if isinstance(error, pytest.fail.Exception):
        return not _is_our_timeout(error)
    return isinstance(error, ServiceError) or (isinstance(error, AssertionError) and not _is_pytests(error))


def stage_result(
    item: pytest.Item,
    report: pytest.TestReport,
    error: BaseException | None,
    measurements: Sequence[Measurement],
    settings: Settings,
    seconds: float,
) -> StageResult:
    """What `report` says of the criterion `item`: everything that later hooks need, as `logreport` gets no item."""
    judged = judge_stage(report, error)
    return replace(
        judged,
        # The appendix is about the service: an observer's 503 is none of its.
        appendix=hint(judged.reason, settings) if judged.verdict is Verdict.FAIL else "",
        fixable_by_rollback=judged.fixable_by_rollback and item.get_closest_marker("unmendable") is None,
        id=criterion_id(item),
        title=title_of(item),
        phase=phase_of(item),
        measurements=tuple(measurements),
        seconds=seconds,
    )


class CriterionResults:
    """The results of a run, by node id, as the stages of its criteria are reported."""

    def __init__(self) -> None:
        self._stages: dict[str, StageResult] = {}
        self._seconds: dict[str, float] = {}
        self._ended: dict[str, datetime] = {}
        self._asked: set[str] = set()
        self._complete: set[str] = set()

    def add(self, report: pytest.TestReport) -> CriterionResult | None:
        """Add one report; the result once the criterion is through, or as soon as it is known to fail."""
        stage, nodeid = getattr(report, "stage", None), report.nodeid
        if not isinstance(stage, StageResult):
            return None
        if report.when == "call":
            self._asked.add(nodeid)
        elif report.when == "teardown" and nodeid not in self._asked and stage.verdict is Verdict.PASS:
            reason = "it was set up, but its question was never asked"
            stage = replace(stage, verdict=Verdict.INCONCLUSIVE, reason=reason)
        before = self._stages.get(nodeid)
        known_to_fail = before is not None and before.verdict is Verdict.FAIL
        self._stages[nodeid] = stage if before is None else before.worst(stage)
        self._seconds[nodeid] = self._seconds.get(nodeid, 0.0) + report.duration
        fails = self._stages[nodeid].verdict is Verdict.FAIL
        if not known_to_fail:
            self._ended[nodeid] = datetime.fromtimestamp(report.stop, UTC)
        # A failure counts once it is known: its teardown may never be reported (Ctrl-C, a plugin that breaks).
        if report.when == "teardown" or fails:
            self._complete.add(nodeid)
        return self.result(nodeid) if report.when == "teardown" or (fails and not known_to_fail) else None

    @property
    def broken(self) -> bool:
        """Whether a criterion itself broke, so that its traceback is worth reading."""
        return any(not stage.expected for stage in self._stages.values())

    @property
    def complete(self) -> dict[str, CriterionResult]:
        """The results that stand, by node id."""
        return {
            nodeid: result for nodeid in self._stages if nodeid in self._complete and (result := self.result(nodeid))
        }

    @property
    def call_for_rollback(self) -> bool:
        """Whether something failed that another revision might do better."""
        return any(result.verdict is Verdict.FAIL and result.fixable_by_rollback for result in self.complete.values())

    def in_order(self, items: Sequence[pytest.Item]) -> list[CriterionResult]:
        """The results that stand, in the order of `items`."""
        complete = self.complete
        return [complete[item.nodeid] for item in items if item.nodeid in complete]

    def note_end(self, record: RunRecord, items: Sequence[pytest.Item], exitstatus: int) -> None:
        """Note in `record` what came of `items`, what was never asked, and (by pytest's `exitstatus`) why it ended."""
        record.criteria = self.in_order(items)
        unasked = [item for item in items if phase_of(item) and item.nodeid not in self._complete]
        record.not_asked |= {criterion_id(item): "the run ended before it was asked" for item in unasked}
        record.unasked = tuple(criterion_id(item) for item in unasked if phase_of(item) in POST_DEPLOY_PHASES)
        record.interrupted = _INTERRUPTIONS.get(exitstatus, "")

    def result(self, nodeid: str) -> CriterionResult | None:
        """The result of one criterion so far."""
        stage = self._stages.get(nodeid)
        if stage is None:
            return None
        return CriterionResult(
            id=stage.id,
            title=stage.title,
            phase=stage.phase,
            verdict=stage.verdict,
            measurements=stage.measurements,
            reason=stage.reason,
            hint="\n".join(filter(None, (stage.remedy, stage.appendix))),
            seconds=round(max(stage.seconds, self._seconds[nodeid]), 3),
            fixable_by_rollback=stage.fixable_by_rollback,
            ended=self._ended[nodeid],
        )


def _inconclusive(reason: str, remedy: str = "", *, expected: bool = True) -> StageResult:
    return StageResult(Verdict.INCONCLUSIVE, _clean(reason), remedy, expected=expected)


def _is_our_timeout(error: BaseException | None) -> bool:
    return isinstance(error, pytest.fail.Exception) and str(error).startswith(_OUR_TIMEOUT)


def _is_pytests(error: AssertionError) -> bool:
    """Whether pytest asserted that, about itself: what it says of its own state says nothing about the service."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__", "")).startswith(("_pytest.", "pluggy."))


def _clean(text: str) -> str:
    # Cleaned before it is cut: half a secret would not be known as one.
    cleaned = redact(text.strip())
    return cleaned if len(cleaned) <= _LONGEST_REASON else cleaned[:_LONGEST_REASON] + "…"
