"""What happened when: from the start of a run over each failure to the rollback and its verification.

The record has most of it; the steps of a rollback stand in the run's journal, which `rollback` writes.
"""

from __future__ import annotations

from pathlib import Path

from verification.records.journal import JournalEntry, JournalView
from verification.records.run_record import POST_DEPLOY_PHASES, RunRecord, TimelineEntry


def timeline(record: RunRecord, journal: Path) -> list[TimelineEntry]:
    """The events of a run, oldest first. A journal that is missing or torn only takes its own lines away."""
    events = [
        TimelineEntry(record.started, f"Started: {', '.join(record.phases) or 'verification'}, {record.environment}.")
    ]
    steps = JournalView.read(journal)
    noted = {step.text("criterion") for step in steps.every("failed")}
    events += [event for step in steps.entries if (event := _step(step, record)) is not None]
    for result in record.failures:
        if result.ended is None or (result.phase in POST_DEPLOY_PHASES and result.id in noted):
            continue  # nobody knows when, or the journal knows it more exactly
        events.append(TimelineEntry(result.ended, f"{result.id} failed: {_first_line(result.reason)}", failed=True))
    if record.finished:
        events.append(TimelineEntry(record.finished, "The run ended."))
    return sorted(events, key=lambda event: event.at)


def _step(step: JournalEntry, record: RunRecord) -> TimelineEntry | None:
    way = f"from {step.text('from_revision')} to {step.text('to_revision')}"
    match step.event:
        case "failed":
            criterion = step.text("criterion")
            reason = next((result.reason for result in record.criteria if result.id == criterion), "")
            return TimelineEntry(step.at, f"{criterion} failed: {_first_line(reason)}", failed=True)
        case "control":
            told = "not known whether it does better" if step.text("verdict") == "unknown" else step.text("verdict")
            return TimelineEntry(step.at, f"The revision from before was asked the same: {told}.")
        case "rolling-back":
            return TimelineEntry(step.at, f"Rollback begins {way}, through {step.text('strategy')}.")
        case "workflow-begun":
            return TimelineEntry(step.at, f"The deploy workflow was asked: {step.text('url')}")
        case "workflow-over":
            return TimelineEntry(step.at, f"Its run is over: {_first_line(step.text('reason'))}.")
        case "shifted":
            return TimelineEntry(step.at, f"Traffic has moved {way}.")
        case "verified":
            well = (
                "the service is well again."
                if step.flag("verified")
                else f"NOT verified to be well: {step.text('problem')}"
            )
            return TimelineEntry(step.at, f"Checked after the rollback: {well}")
        case "settled" if step.text("outcome") in {"failed", "withheld"} and step.text("guard") != "cut_off":
            word = "failed" if step.text("outcome") == "failed" else "was withheld"
            return TimelineEntry(step.at, f"The rollback {word}.")
    return None


def _first_line(reason: str) -> str:
    return reason.strip().split("\n")[0] or "no reason was given"
