"""The summary on the page of a GitHub Actions job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reports.tickets.step_summary import write_step_summary
from verification.records.run_record import RunRecord


def test_it_is_added_to_what_is_there(failed: RunRecord, tmp_path: Path) -> None:
    file = tmp_path / "summary"
    file.write_text("before\n", encoding="utf-8")
    assert write_step_summary(failed, {"GITHUB_STEP_SUMMARY": str(file)}) == ""
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert "## Criteria" in text


def test_one_that_is_too_long_is_told_in_short(failed: RunRecord, tmp_path: Path) -> None:
    failed.criteria = [replace(failed.criteria[0], title="x" * 2000) for _ in range(600)]
    file = tmp_path / "summary"
    assert write_step_summary(failed, {"GITHUB_STEP_SUMMARY": str(file)}) == ""
    assert 0 < file.stat().st_size < 2000


def test_without_the_variable_nothing_is_written_and_a_bad_place_is_told(failed: RunRecord, tmp_path: Path) -> None:
    assert write_step_summary(failed, {}) == ""
    assert "was not written" in write_step_summary(failed, {"GITHUB_STEP_SUMMARY": str(tmp_path)})
