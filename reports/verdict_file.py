"""`verdict.json`: one run for other programs. The format is stable; `schema` changes when it does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from reports.banner import notices
from reports.text import plain, plain_value
from verification.records.run_record import RollbackOutcome, RunRecord
from verification.verdict import Value, Verdict

Text = Annotated[str, BeforeValidator(plain_value)]
MeasuredValue = Annotated[Value | None, BeforeValidator(plain_value)]


class _VerdictModel(BaseModel):
    """Read from the run's record, whose attributes have the same names; secrets and control characters go here."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class MeasurementEntry(_VerdictModel):
    """One value with its limit; `window_s` is in seconds, null stands for "could not be measured"."""

    name: Text
    value: MeasuredValue
    unit: Text
    limit: MeasuredValue
    samples: int | None
    window_s: float | None
    source: Text
    observed_at: datetime


class CriterionEntry(_VerdictModel):
    """One criterion; `title` is its checklist line."""

    id: Text
    title: Text
    phase: Text
    verdict: Verdict
    measurements: tuple[MeasurementEntry, ...]
    reason: Text
    hint: Text
    seconds: float


class RollbackEntry(_VerdictModel):
    """What the rollback did; `seconds` is from its start to the shifted traffic."""

    outcome: RollbackOutcome
    triggers: tuple[Text, ...]
    strategy: Text
    from_revision: Text
    to_revision: Text
    seconds: float | None
    verified: bool | None
    helped: bool = True
    guard: Text = ""
    reason: Text


class VerdictFile(_VerdictModel):
    """One run. Reading one back: `VerdictFile.model_validate_json(path.read_text())`."""

    # BaseModel has a (deprecated) `schema` of its own, so that the field needs another name here.
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    version: Literal[1] = Field(default=1, alias="schema")
    verdict: Verdict
    exit_code: int
    environment: Text
    phases: tuple[Text, ...]
    profiles: tuple[Text, ...]
    service: Text
    revision: Text
    previous_revision: Text
    commit: Text
    started: datetime
    finished: datetime | None
    criteria_selected: int
    criteria_in_phase: int
    criteria: tuple[CriterionEntry, ...]
    rollback: RollbackEntry
    notices: tuple[Text, ...] = ()


def verdict_file(record: RunRecord) -> VerdictFile:
    """The run as `verdict.json` states it, without secrets."""
    said = tuple(plain(notice) for notice in (*notices(record), *record.called))
    return VerdictFile.model_validate(record).model_copy(update={"notices": said})
