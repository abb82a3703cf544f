"""The runs of the deploy workflow that a rollback asked for and whose end nobody saw: none may be left waiting.

They stand in the rollback's journal, so that whoever takes over from a killed one knows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from verification.records.journal import Entry, Journal, read

_ASKED, _BEGUN, _OVER = "workflow-asked", "workflow-begun", "workflow-over"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One request for a run. `run` is 0 where the answer to it is not known."""

    correlation: str
    at: datetime
    run: int

    def __str__(self) -> str:
        name = f"{self.run}" if self.run else f"asked for at {self.at:%H:%M:%S} UTC"
        return f"the run of the deploy workflow {name}"


class Dispatches:
    """Those of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def asked(self, correlation: str) -> None:
        """Note that a run is about to be asked for."""
        self._journal.write(_ASKED, correlation=correlation)

    def begun(self, correlation: str, run: int, url: str) -> None:
        """Note which run came of it."""
        self._journal.write(_BEGUN, correlation=correlation, run=run, url=url)

    def over(self, correlation: str, how: str) -> None:
        """Note that it will move no traffic any more."""
        self._journal.write(_OVER, correlation=correlation, reason=how)

    def open(self) -> list[Dispatch]:
        """Those whose end was not seen, oldest first."""
        entries = read(self._journal.path)
        over = {one.text("correlation") for one in entries if one.event == _OVER}
        runs = {one.text("correlation"): one.text("run") for one in entries if one.event == _BEGUN}
        return [
            Dispatch(name, at, int(run) if (run := runs.get(name, "")).isdecimal() else 0)
            for name, at in _asked(entries)
            if name not in over
        ]


def _asked(entries: list[Entry]) -> Iterator[tuple[str, datetime]]:
    for one in entries:
        if one.event == _ASKED:
            yield one.text("correlation"), one.at
