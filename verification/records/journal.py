"""The journal of one run: what was armed, what failed, what was done; on disk before the step that it announces.

A journal that cannot be written stops nothing: a rollback goes on, and says that it leaves no trace.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from verification.records.jsonl import append_line, read_lines
from verification.records.process import this_process
from verification.redaction import redact
from verification.verdict import now

if TYPE_CHECKING:  # the supervisor reads journals, and must not cost every run the import of the settings
    from verification.settings.service import CloudRunSettings

Field = None | bool | int | float | str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that was read back; `fields` is everything that stood there besides `seq`, `at` and `event`."""

    seq: int
    at: datetime
    event: str
    fields: Mapping[str, Field]

    def text(self, name: str) -> str:
        """The field `name` as text; empty when it is missing."""
        value = self.fields.get(name)
        return "" if value is None else str(value)


class Journal:
    """The journal in the file `path`; an existing one is continued. `problem` says why it cannot be written, if so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        entries = read(path)
        self._seq = max((entry.seq for entry in entries), default=0)
        self._failed = {entry.text("criterion") for entry in entries if entry.event == "failed"}

    def write(self, event: str, **fields: Field) -> None:
        """Append a line, cleaned of secrets, and return when it is on disk. Never raises."""
        self._seq += 1
        cleaned = {name: _clean(value) for name, value in fields.items()}
        line = json.dumps({"seq": self._seq, "at": now().isoformat(), "event": event, **cleaned})
        try:
            append_line(self.path, line)
        except OSError as error:
            if not self.problem:
                self.problem = f"the journal {self.path} cannot be written: {error.strerror}"
                print(f"{self.problem}; going on without it", file=sys.stderr)

    def begun(self, *, environment: str, phases: Sequence[str], allowed: bool, dry_run: bool) -> None:
        """Note whose journal this is: the run, its process, and whether it may write (`--no-rollback`, `--dry-run`)."""
        process = this_process()
        self.write(
            "begun",
            environment=environment,
            phases=phases,
            allowed=allowed,
            dry_run=dry_run,
            host=process.host,
            pid=process.pid,
            pid_started=process.started,
        )

    def armed(
        self,
        service: CloudRunSettings,
        *,
        environment: str,
        policy: str,
        revision: str,
        previous: str,
        evidence: str,
        created: datetime | None = None,
        obstacles: Sequence[str] = (),
    ) -> None:
        """Note, before anything is judged, what a rollback would do: enough to finish it without this process."""
        process = this_process()
        self.write(
            "armed",
            environment=environment,
            project=service.project,
            region=service.region,
            service=service.service,
            revision=revision,
            created=created.isoformat() if created else None,
            previous_revision=previous,
            evidence=evidence,
            policy=policy,
            obstacles=obstacles,
            host=process.host,
            pid=process.pid,
            pid_started=process.started,
        )

    def failed(self, criterion: str, reason: str = "", *, trigger: bool = True) -> None:
        """Note that `criterion` failed; a second time says nothing new and is left out.

        `trigger`: it calls for a rollback, as another revision could mend it.
        """
        if criterion not in self._failed:
            self._failed.add(criterion)
            self.write("failed", criterion=criterion, reason=reason, trigger=trigger)


def read(path: Path) -> list[Entry]:
    """The journal in `path`, oldest first. Torn and foreign lines are passed over; no file is an empty journal."""
    return [entry for line in read_lines(path) if (entry := _parsed(line)) is not None]


def _clean(value: Field) -> Field:
    if isinstance(value, str):
        return redact(value)
    return [redact(one) for one in value] if isinstance(value, Sequence) else value


def _parsed(line: str) -> Entry | None:
    try:
        fields = json.loads(line)
        return Entry(int(fields.pop("seq")), datetime.fromisoformat(fields.pop("at")), str(fields.pop("event")), fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
