"""Destructive operations found in migrations, and the note of them for whoever has to take the release back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.deadline import now
from verification.records.atomic import write_whole
from verification.settings.migrations import Approval

_LONGEST_CODE = 100
_FILE = "destructive-migrations.json"


@dataclass(frozen=True, slots=True)
class DestructiveOperation:
    """An operation that destroys something. `operation` is the word for it in an approval."""

    file: str
    line: int
    operation: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.operation}: {self.code}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place in a migration whose effect cannot be told without running it."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The findings of one or several files."""

    findings: tuple[DestructiveOperation, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __add__(self, other: ReadResult) -> ReadResult:
        return ReadResult(self.findings + other.findings, self.unreadable + other.unreadable)


def shortened(code: str) -> str:
    """`code` on one line, cut where it is long."""
    text = " ".join(code.split())
    return text if len(text) <= _LONGEST_CODE else text[:_LONGEST_CODE] + "…"


def approval_of(finding: DestructiveOperation, approved: Sequence[Approval]) -> Approval | None:
    """The approval that covers `finding`, if there is one."""
    named = (approval for approval in approved if approval.operation == finding.operation)
    return next((approval for approval in named if fnmatchcase(finding.file, approval.file)), None)


class MigrationNote(BaseModel):
    """The destructive operations of the release of `commit`, approved ones included; none for a harmless release."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    commit: str
    operations: tuple[str, ...]
    noted_at: datetime


def note(output: Path, commit: str, operations: tuple[str, ...]) -> None:
    """Keep the note in the folder of all runs. One that cannot be written is done without: a person may still know."""
    text = MigrationNote(commit=commit, operations=operations, noted_at=now()).model_dump_json(indent=2)
    try:
        write_whole(output / _FILE, text + "\n")
    except OSError:
        return


def noted(output: Path, commit: str) -> tuple[str, ...]:
    """The destructive operations of the release of `commit`, as far as they were noted."""
    try:
        found = MigrationNote.model_validate_json((output / _FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return ()
    return found.operations if commit and found.commit == commit else ()
