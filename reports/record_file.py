"""`record.json`: all that a run's report shows, to be shown again: several of them make one ticket.

`verdict.json` is for other programs and stable; this one is for the suite itself and follows `RunRecord`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from reports.text import plain, plain_value
from verification.errors import ObserverError
from verification.records.atomic import write_whole
from verification.records.run_record import RunRecord

_SHAPE = TypeAdapter(RunRecord)


def write(path: Path, record: RunRecord) -> None:
    """Write the record, whole or not at all and without secrets. Raises OSError."""
    criteria = [
        replace(result, measurements=tuple(replace(value, problem=None) for value in result.measurements))
        for result in record.criteria
    ]
    checks = tuple(replace(check, problem=None) for check in record.rollback.checks)
    whole = replace(record, criteria=criteria, rollback=replace(record.rollback, checks=checks))
    write_whole(path, json.dumps(_clean(_SHAPE.dump_python(whole, mode="json")), separators=(",", ":")) + "\n")


def read(path: Path) -> RunRecord:
    """The record of a run that was written before. Raises ObserverError for a file that is none."""
    try:
        return _SHAPE.validate_json(path.read_bytes())
    except OSError as error:
        raise ObserverError(f"{path} cannot be read: {error.strerror}", "Name the folder of a run.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ObserverError(
            f"{path} is not the record of a run: {place}: {first['msg']}", "It may be of another version of this suite."
        ) from None


def _clean(value: object) -> object:
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, dict):
        return {plain(name): _clean(inner) for name, inner in value.items()}
    return plain_value(value)
