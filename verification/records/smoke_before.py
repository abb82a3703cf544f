"""Which smoke criteria failed already before a deployment, as the pre phase saw it: no evidence against the release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from verification.errors import ObserverError
from verification.records.atomic import write_whole

USED_FOR = timedelta(days=1)


class SmokeBefore(BaseModel):
    """What production answered at the moment `at`: why each criterion failed that did."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    service: str
    failed: Mapping[str, str]


def store(output: Path, environment: str, found: SmokeBefore) -> None:
    """Keep it below `output`, in the place of an earlier one. Raises ObserverError."""
    path = _file_of(output, environment)
    try:
        write_whole(path, found.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise ObserverError(f"what production answers could not be kept in {path}: {error.strerror}") from None


def failed_before(output: Path, environment: str, service: str, at: datetime) -> Mapping[str, str]:
    """The criteria that failed a day before `at`, or later, and why; none where nobody looked."""
    try:
        found = SmokeBefore.model_validate_json(_file_of(output, environment).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return {}
    recent = timedelta() <= at - found.at <= USED_FOR
    return found.failed if recent and found.service == service else {}


def _file_of(output: Path, environment: str) -> Path:
    return output / f"smoke-before-{environment}.json"
