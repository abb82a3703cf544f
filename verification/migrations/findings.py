"""What reading a migration brings up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from verification.settings.migrations import Approval


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
    """A place of which nobody can say what it does without running it."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What was found in one or several files."""

    findings: tuple[DestructiveOperation, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __add__(self, other: ReadResult) -> ReadResult:
        return ReadResult(self.findings + other.findings, self.unreadable + other.unreadable)


def approval_of(finding: DestructiveOperation, approved: Sequence[Approval]) -> Approval | None:
    """The approval that covers `finding`, if there is one."""
    for approval in approved:
        if approval.operation == finding.operation and fnmatchcase(finding.file, approval.file):
            return approval
    return None
