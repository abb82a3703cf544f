"""tox's result file (`--result-json`, since tox 4 also asked for through the variable TOX_RESULT_JSON)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from verification.errors import ObserverError

RESULT_VARIABLE = "TOX_RESULT_JSON"


@dataclass(frozen=True, slots=True)
class Check:
    """One environment of tox: `outcome` is passed, failed or skipped (its interpreter is missing and may be)."""

    name: str
    outcome: str


class _Result(BaseModel):
    success: bool
    skipped: bool = False


class _Environment(BaseModel):
    result: _Result


class _Document(BaseModel):
    testenvs: dict[str, _Environment]


def read_tox(file: Path) -> tuple[Check, ...]:
    """The environments in `file`. Raises ObserverError."""
    try:
        document = _Document.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise ObserverError("tox's result file cannot be read", "tox 4 writes one; run it by hand to see.") from None
    return tuple(Check(name, _outcome(one.result)) for name, one in document.testenvs.items())


def _outcome(result: _Result) -> str:
    if result.skipped:
        return "skipped"
    return "passed" if result.success else "failed"
