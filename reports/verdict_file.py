"""`verdict.json`: one run for other programs. The format is stable; `schema` changes when it does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reports.banner import notices
from reports.text import plain
from verification.records.atomic import write_whole
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult, RunRecord
from verification.verdict import Measurement, Value, Verdict


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasurementEntry(_Closed):
    """One value with its limit; `window_s` is in seconds, null stands for "could not be measured"."""

    name: str
    value: Value | None
    unit: str
    limit: Value | None
    samples: int | None
    window_s: float | None
    source: str
    observed_at: datetime


class CriterionEntry(_Closed):
    """One criterion; `title` is its checklist line."""

    id: str
    title: str
    phase: str
    verdict: Verdict
    measurements: tuple[MeasurementEntry, ...]
    reason: str
    hint: str
    seconds: float


class RollbackEntry(_Closed):
    """What the rollback did; `seconds` is from its start to the shifted traffic."""

    outcome: RollbackOutcome
    triggers: tuple[str, ...]
    strategy: str
    from_revision: str
    to_revision: str
    seconds: float | None
    verified: bool | None
    reason: str


class VerdictFile(_Closed):
    """One run. Reading one back: `VerdictFile.model_validate_json(path.read_text())`."""

    # BaseModel has a (deprecated) `schema` of its own, so that the field needs another name here.
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    version: Literal[1] = Field(default=1, alias="schema")
    verdict: Verdict
    exit_code: int
    environment: str
    phases: tuple[str, ...]
    profiles: tuple[str, ...]
    service: str
    revision: str
    previous_revision: str
    commit: str
    started: datetime
    finished: datetime | None
    criteria_selected: int
    criteria_in_phase: int
    criteria: tuple[CriterionEntry, ...]
    rollback: RollbackEntry
    notices: tuple[str, ...] = ()


def verdict_file(record: RunRecord) -> VerdictFile:
    """The run as `verdict.json` states it, without secrets."""
    return VerdictFile(
        verdict=record.verdict,
        exit_code=record.exit_code,
        environment=plain(record.environment),
        phases=_plain(record.phases),
        profiles=_plain(record.profiles),
        service=plain(record.service),
        revision=plain(record.revision),
        previous_revision=plain(record.previous_revision),
        commit=plain(record.commit),
        started=record.started,
        finished=record.finished,
        criteria_selected=record.criteria_selected,
        criteria_in_phase=record.criteria_in_phase,
        criteria=tuple(_criterion(one) for one in record.criteria),
        rollback=_rollback(record.rollback),
        notices=_plain((*notices(record), *record.called)),
    )


def write(path: Path, record: RunRecord) -> None:
    """Write `verdict.json`, whole or not at all. Raises OSError."""
    write_whole(path, verdict_file(record).model_dump_json(indent=2) + "\n")


def _criterion(result: CriterionResult) -> CriterionEntry:
    return CriterionEntry(
        id=plain(result.id),
        title=plain(result.title),
        phase=plain(result.phase),
        verdict=result.verdict,
        measurements=tuple(_measurement(one) for one in result.measurements),
        reason=plain(result.reason),
        hint=plain(result.hint),
        seconds=result.seconds,
    )


def _measurement(measurement: Measurement) -> MeasurementEntry:
    return MeasurementEntry(
        name=plain(measurement.name),
        value=_value(measurement.value),
        unit=plain(measurement.unit),
        limit=_value(measurement.limit),
        samples=measurement.samples,
        window_s=measurement.window_s,
        source=plain(measurement.source),
        observed_at=measurement.observed_at,
    )


def _rollback(result: RollbackResult) -> RollbackEntry:
    return RollbackEntry(
        outcome=result.outcome,
        triggers=_plain(result.triggers),
        strategy=plain(result.strategy),
        from_revision=plain(result.from_revision),
        to_revision=plain(result.to_revision),
        seconds=result.seconds,
        verified=result.verified,
        reason=plain(result.reason),
    )


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(one) for one in texts)


def _value(value: Value | None) -> Value | None:
    """The value itself; a text cleaned, and a number that JSON cannot hold (NaN, infinity) as the text of it."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return plain(value) if isinstance(value, str) else value
