"""The runs of the deploy workflow that a rollback asked for and whose end nobody saw: none may stay waiting.

They stand in the rollback's journal, so that whoever takes over from a killed one knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from verification.records.journal import Journal, JournalView

_REQUESTED, _BEGUN, _ENDED = "workflow-asked", "workflow-begun", "workflow-over"


@dataclass(frozen=True, slots=True)
class WorkflowRequest:
    """One request for a run. `run` is 0 where the answer to it is not known."""

    correlation: str
    at: datetime
    run: int

    def __str__(self) -> str:
        name = f"{self.run}" if self.run else f"asked for at {self.at:%H:%M:%S} UTC"
        return f"the run of the deploy workflow {name}"


class WorkflowRequests:
    """The requests that stand in one journal, written there and read from there."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def note_request(self, correlation: str) -> None:
        """Note that a run is about to be asked for."""
        self._journal.write(_REQUESTED, correlation=correlation)

    def note_run(self, correlation: str, run: int, url: str) -> None:
        """Note which run came of it."""
        self._journal.write(_BEGUN, correlation=correlation, run=run, url=url)

    def note_end(self, correlation: str, reason: str) -> None:
        """Note that it will move no traffic any more."""
        self._journal.write(_ENDED, correlation=correlation, reason=reason)

    def pending(self) -> list[WorkflowRequest]:
        """Those whose end was not seen, oldest first."""
        journal = JournalView.read(self._journal.path)
        ended = {entry.text("correlation") for entry in journal.every(_ENDED)}
        runs = {entry.text("correlation"): entry.text("run") for entry in journal.every(_BEGUN)}
        return [
            WorkflowRequest(name, entry.at, int(run) if (run := runs.get(name, "")).isdecimal() else 0)
            for entry in journal.every(_REQUESTED)
            if (name := entry.text("correlation")) not in ended
        ]
