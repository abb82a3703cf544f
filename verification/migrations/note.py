"""What a release's migrations destroy: noted when they are read, for whoever has to take the release back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.records.atomic import write_whole
from verification.verdict import now

_FILE = "destructive-migrations.json"


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
