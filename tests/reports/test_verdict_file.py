"""`verdict.json`, which other programs read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from reports.run_files import RunFiles
from reports.verdict_file import VerdictFile, verdict_file
from verification.records.run_record import RunRecord
from verification.verdict import Measurement, Value


def test_the_format_is_the_published_one(rolled_back: RunRecord, tmp_path: Path) -> None:
    RunFiles(tmp_path).write(rolled_back)
    written = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    bad = written["criteria"].pop()
    assert written | {"criteria": []} == {
        "schema": 1,
        "verdict": "fail",
        "exit_code": 1,
        "environment": "production",
        "phases": ["smoke", "monitor"],
        "profiles": [],
        "service": "Bayit+",
        "revision": "backend-00043",
        "previous_revision": "backend-00042",
        "commit": "4f9c2ab",
        "started": "2026-11-23T10:15:00Z",
        "finished": "2026-11-23T10:30:12Z",
        "criteria_selected": 3,
        "criteria_in_phase": 3,
        "criteria": [],
        "rollback": {
            "outcome": "done",
            "triggers": ["login"],
            "strategy": "cloud_run",
            "from_revision": "backend-00043",
            "to_revision": "backend-00042",
            "seconds": 2.1,
            "verified": True,
            "helped": True,
            "guard": "",
            "reason": "",
        },
        "notices": [],
    }
    assert bad == {
        "id": "login",
        "title": "The line of login.",
        "phase": "smoke",
        "verdict": "fail",
        "measurements": [
            {
                "name": "login latency",
                "value": 812.5,
                "unit": "ms",
                "limit": 500.0,
                "samples": 9120,
                "window_s": 900.0,
                "source": "https://api.example",
                "observed_at": "2026-11-23T10:15:00Z",
            }
        ],
        "reason": "login status is 500, expected 200",
        "hint": "Read the log: gcloud logging read x",
        "seconds": 1.25,
    }


def test_what_is_written_can_be_read_back(hostile: RunRecord, tmp_path: Path) -> None:
    RunFiles(tmp_path).write(hostile)
    read = VerdictFile.model_validate_json((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    assert read == verdict_file(hostile)


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", None], ids=repr)
def test_a_value_keeps_its_kind(record: RunRecord, value: Value | None) -> None:
    record.criteria = [replace(record.criteria[0], measurements=(Measurement("x", value, limit=value),))]
    text = verdict_file(record).model_dump_json()
    entry = json.loads(text)["criteria"][0]["measurements"][0]
    assert (type(entry["value"]), entry["value"]) == (type(value), value)
    assert VerdictFile.model_validate_json(text).criteria[0].measurements[0].value == value


def test_a_number_that_json_does_not_know_is_written_as_text(record: RunRecord) -> None:
    record.criteria = [replace(record.criteria[0], measurements=(Measurement("x", float("nan")),))]
    assert verdict_file(record).criteria[0].measurements[0].value == "nan"


def test_a_field_that_the_format_does_not_have_is_refused(record: RunRecord) -> None:
    document = json.loads(verdict_file(record).model_dump_json()) | {"mood": "sunny"}
    with pytest.raises(ValidationError, match="mood"):
        VerdictFile.model_validate(document)


def test_no_secret_gets_into_it(record: RunRecord, secret: str) -> None:
    leaking = Measurement(secret, secret, secret, secret, limit=secret)
    record.criteria = [replace(record.criteria[0], reason=f"got {secret}", hint=secret, measurements=(leaking,))]
    record.notices = [secret]
    record.target = record.commit = secret
    assert secret not in verdict_file(record).model_dump_json()
