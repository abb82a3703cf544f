"""The folder of a run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from reports.run_files import RunFiles
from reports.verdict_file import VerdictFile
from verification.records.atomic import write_whole
from verification.verdict import Verdict

BEGAN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def test_the_folder_is_named_by_utc_time_environment_and_phases(tmp_path: Path) -> None:
    new_york = BEGAN.astimezone(timezone(timedelta(hours=-5)))
    files = RunFiles.create(tmp_path / "output", "production", ["smoke", "monitor"], new_york)
    assert files.folder == tmp_path / "output" / "20261123T101500Z-production-smoke+monitor"
    assert {one.parent for one in (files.report, files.junit, files.verdict, files.summary, files.journal)} == {
        files.folder
    }


def test_an_environment_cannot_lead_out_of_the_output_folder(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, "../../etc", ["smoke"], BEGAN)
    assert files.folder.parent == tmp_path


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [RunFiles.create(tmp_path, "sandbox", ["smoke"], BEGAN).folder.name for _ in range(3)]
    first = "20261123T101500Z-sandbox-smoke"
    assert folders == [first, f"{first}-2", f"{first}-3"]


def test_latest_points_at_the_newest_run(tmp_path: Path) -> None:
    for second in range(2):
        files = RunFiles.create(tmp_path, "sandbox", ["smoke"], BEGAN + timedelta(seconds=second))
    assert (tmp_path / "latest").resolve() == files.folder.resolve()
    assert not Path((tmp_path / "latest").readlink()).is_absolute()  # the folder may be moved, or be an artifact of CI


def test_where_latest_cannot_be_a_link_a_text_file_names_the_newest_run(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    files = RunFiles.create(tmp_path, "sandbox", ["smoke"], BEGAN)
    assert (tmp_path / "latest.txt").read_text(encoding="utf-8").strip() == files.folder.name
    (tmp_path / "latest").rmdir()
    RunFiles.create(tmp_path, "sandbox", ["smoke"], BEGAN)
    assert not (tmp_path / "latest.txt").exists()


def test_a_run_that_is_killed_at_once_leaves_no_green_report(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, "production", ["smoke"], BEGAN)
    verdict = VerdictFile.model_validate_json(files.verdict.read_text(encoding="utf-8"))
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.exit_code == 75
    assert verdict.finished is None
    for text in (
        files.report.read_text(encoding="utf-8"),
        files.summary.read_text(encoding="utf-8"),
        verdict.notices[0],
    ):
        assert "This run has not finished" in text
        assert "rollback" not in re.sub("<style>.*</style>", "", text.lower(), flags=re.DOTALL), "it does not know"
    assert sorted(one.name for one in files.folder.iterdir()) == ["report.html", "summary.md", "verdict.json"]


def test_a_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new, and then \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["summary.md"]
