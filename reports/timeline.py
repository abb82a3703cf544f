"""What happened when: from the start of a run over each failure to the rollback and its verification.

The record has most of it; the steps of a rollback stand in the run's journal, which `rollback` writes.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.records.run_record import POST_DEPLOY_PHASES, Event, RunRecord
from verification.verdict import Verdict


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    at: datetime
    event: str
    criterion: str = ""
    from_revision: str = ""
    to_revision: str = ""
    strategy: str = ""
    verified: bool | None = None
    outcome: str = ""
    problem: str = ""
    url: str = ""
    reason: str = ""


def timeline(record: RunRecord, journal: Path) -> list[Event]:
    """The events of a run, oldest first. A journal that is missing or torn only takes its own lines away."""
    events = [Event(record.started, f"Started: {', '.join(record.phases) or 'verification'}, {record.environment}.")]
    steps = _lines(journal)
    noted = {step.criterion for step in steps if step.event == "failed"}
    events += [event for step in steps if (event := _step(step, record)) is not None]
    for one in record.criteria:
        if one.verdict is not Verdict.FAIL or one.ended is None:
            continue
        if one.phase in POST_DEPLOY_PHASES and one.id in noted:
            continue  # the journal knows it more exactly
        events.append(Event(one.ended, f"{one.id} failed: {_first_line(one.reason)}", failed=True))
    if record.finished:
        events.append(Event(record.finished, "The run ended."))
    return sorted(events, key=lambda event: event.at)


def _step(step: _Line, record: RunRecord) -> Event | None:
    way = f"from {step.from_revision} to {step.to_revision}"
    match step.event:
        case "failed":
            reason = next((one.reason for one in record.criteria if one.id == step.criterion), "")
            return Event(step.at, f"{step.criterion} failed: {_first_line(reason)}", failed=True)
        case "rolling-back":
            return Event(step.at, f"Rollback begins {way}, through {step.strategy}.")
        case "workflow-begun":
            return Event(step.at, f"The deploy workflow was asked: {step.url}")
        case "workflow-over":
            return Event(step.at, f"Its run is over: {_first_line(step.reason)}.")
        case "shifted":
            return Event(step.at, f"Traffic has moved {way}.")
        case "verified":
            well = "the service is well again." if step.verified else f"NOT verified to be well: {step.problem}"
            return Event(step.at, f"Checked after the rollback: {well}")
        case "settled" if step.outcome in {"failed", "withheld"}:
            return Event(step.at, f"The rollback {'failed' if step.outcome == 'failed' else 'was withheld'}.")
    return None


def _lines(journal: Path) -> list[_Line]:
    try:
        texts = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for text in texts:
        try:
            found.append(_Line.model_validate_json(text))
        except ValidationError:  # torn by a crash
            continue
    return found


def _first_line(reason: str) -> str:
    return reason.strip().split("\n")[0] or "no reason was given"
