"""The record of a run that was killed: what it had begun, what its journal tells, and what was done in its stead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from verification.records.journal import JournalView
from verification.records.run_record import CriterionResult, RollbackResult, RunRecord
from verification.verdict import Verdict

_KILLED = "the run itself did not finish; what stands here is what its journal tells"
_SEEN_LATER = "it failed in the run that followed, whose report says why"


def killed_record(begun: RunRecord, text: str, result: RollbackResult, journal: Path) -> RunRecord:
    """`begun` with `result` and the criteria that failed; it stays unfinished. `text` says what was done since."""
    entries = JournalView.read(journal).every("failed")
    failed = {entry.text("criterion"): entry.text("reason") for entry in entries}
    failed |= {name: _SEEN_LATER for name in result.triggers if name not in failed}
    phase = begun.phases[0] if len(begun.phases) == 1 else ""  # which of several it was, nobody wrote down
    return replace(
        begun,
        revision=begun.revision or result.from_revision,
        previous_revision=begun.previous_revision or result.to_revision,
        criteria=[CriterionResult(name, "", phase, Verdict.FAIL, reason=reason) for name, reason in failed.items()],
        notices=[*begun.notices, text],
        interrupted=_KILLED,
        rollback=result,
    )
