"""One `CriterionResult` out of the three reports (set-up, call, teardown) that pytest makes of a criterion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from verification.criteria.criterion import criterion_id, phase_of, title_of
from verification.criteria.outcome import PASSED, Outcome
from verification.criteria.remedies import hint
from verification.records.run_record import CriterionResult
from verification.settings.model import Settings
from verification.verdict import Measurement, Verdict


@dataclass(frozen=True, slots=True)
class Stage:
    """What a report of one stage says about its criterion."""

    outcome: Outcome
    result: CriterionResult


def stage_of(
    item: pytest.Item, outcome: Outcome, measurements: list[Measurement], settings: Settings, seconds: float
) -> Stage:
    """The stage's annotation: everything a later hook needs, since `logreport` gets no item.

    `seconds` is what the criterion's probes took, before anyone waited for them.
    """
    # The appendix is about the service: an observer's 503 is none of its.
    appendix = hint(outcome.reason, settings) if outcome.verdict is Verdict.FAIL else ""
    result = CriterionResult(
        id=criterion_id(item),
        title=title_of(item),
        phase=phase_of(item),
        verdict=outcome.verdict,
        measurements=tuple(measurements),
        reason=outcome.reason,
        hint="\n".join(filter(None, (outcome.remedy, appendix))),
        seconds=seconds,
        mendable=outcome.mendable and item.get_closest_marker("unmendable") is None,
    )
    return Stage(outcome, result)


class Results:
    """The results of a run, by node id, as its reports come in."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._seconds: dict[str, float] = {}
        self._ended: dict[str, datetime] = {}
        self._asked: set[str] = set()

    def note(self, report: pytest.TestReport) -> CriterionResult | None:
        """Take one report in; the result once the criterion is through, or as soon as it is known to fail."""
        stage = getattr(report, "stage", None)
        if not isinstance(stage, Stage):
            return None
        if report.when == "call":
            self._asked.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid not in self._asked:
            stage = _unasked(stage)
        before = self._stages.get(report.nodeid)
        known_to_fail = before is not None and before.outcome.verdict is Verdict.FAIL
        self._stages[report.nodeid] = stage if before is None else _worst(before, stage)
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        fails = self._stages[report.nodeid].outcome.verdict is Verdict.FAIL
        if not known_to_fail:
            self._ended[report.nodeid] = datetime.fromtimestamp(report.stop, UTC)
        return self.of(report.nodeid) if report.when == "teardown" or (fails and not known_to_fail) else None

    @property
    def broken(self) -> bool:
        """Whether a criterion itself broke, so that its traceback is worth reading."""
        return any(not stage.outcome.expected for stage in self._stages.values())

    def of(self, nodeid: str) -> CriterionResult | None:
        """The result so far."""
        stage = self._stages.get(nodeid)
        if stage is None:
            return None
        seconds = round(max(stage.result.seconds, self._seconds[nodeid]), 3)
        return replace(stage.result, seconds=seconds, ended=self._ended[nodeid])


def _unasked(stage: Stage) -> Stage:
    """`stage`, unless all is well: then nobody knows, since the criterion was set up and never asked."""
    if stage.outcome.verdict is not Verdict.PASS:
        return stage
    outcome = Outcome(Verdict.INCONCLUSIVE, "it was set up, but its question was never asked")
    result = replace(stage.result, verdict=outcome.verdict, reason=outcome.reason)
    return Stage(outcome, result)


def _worst(before: Stage, after: Stage) -> Stage:
    worst = before.outcome.worst(after.outcome)
    chosen = before if worst is before.outcome and worst is not PASSED else after
    # What was measured on the way stays, whichever stage decides.
    return Stage(chosen.outcome, replace(chosen.result, measurements=after.result.measurements))
