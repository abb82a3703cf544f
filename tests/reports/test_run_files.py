"""The folder of a run."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from reports.run_files import RunFiles
from reports.verdict_file import VerdictFile
from tests.reports.conftest import HOSTILE
from verification.records.atomic import write_whole
from verification.records.journal import Journal
from verification.records.run_record import ExitCode, RollbackOutcome, RollbackResult, RunRecord
from verification.verdict import Verdict

BEGAN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def _begun(environment: str, started: datetime = BEGAN) -> RunRecord:
    return RunRecord(environment, started=started)


def test_the_folder_is_named_by_utc_time_environment_and_phases(tmp_path: Path) -> None:
    new_york = BEGAN.astimezone(timezone(timedelta(hours=-5)))
    files = RunFiles.create(tmp_path / "output", _begun("production", new_york), ["smoke", "monitor"])
    assert files.folder == tmp_path / "output" / "20261123T101500Z-production-smoke+monitor"
    assert {one.parent for one in (files.report, files.junit, files.verdict, files.summary, files.journal)} == {
        files.folder
    }


def test_an_environment_cannot_lead_out_of_the_output_folder(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, _begun("../../etc"), ["smoke"])
    assert files.folder.parent == tmp_path


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = [RunFiles.create(tmp_path, _begun("sandbox"), ["smoke"]).folder.name for _ in range(3)]
    first = "20261123T101500Z-sandbox-smoke"
    assert folders == [first, f"{first}-2", f"{first}-3"]


def test_latest_points_at_the_newest_run(tmp_path: Path) -> None:
    for second in range(2):
        files = RunFiles.create(tmp_path, _begun("sandbox", BEGAN + timedelta(seconds=second)), ["smoke"])
    assert (tmp_path / "latest").resolve() == files.folder.resolve()
    assert not Path((tmp_path / "latest").readlink()).is_absolute()  # the folder may be moved, or be an artifact of CI


def test_where_latest_cannot_be_a_link_a_text_file_names_the_newest_run(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    files = RunFiles.create(tmp_path, _begun("sandbox"), ["smoke"])
    assert (tmp_path / "latest.txt").read_text(encoding="utf-8").strip() == files.folder.name
    (tmp_path / "latest").rmdir()
    RunFiles.create(tmp_path, _begun("sandbox"), ["smoke"])
    assert not (tmp_path / "latest.txt").exists()


def test_a_run_that_is_killed_at_once_leaves_no_green_report(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, _begun("production"), ["smoke"])
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
    assert sorted(one.name for one in files.folder.iterdir()) == [
        "record.json",
        "report.html",
        "summary.md",
        "verdict.json",
    ]


def test_a_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new, and then \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["summary.md"]


def _killed(tmp_path: Path, result: RollbackResult, *failed: str, dry_run: bool = False) -> RunFiles:
    files = RunFiles.create(tmp_path, replace(_begun("production"), dry_run=dry_run), ["smoke"])
    journal = Journal(files.journal)
    for criterion in failed:
        journal.failed(criterion, f"{HOSTILE} {criterion}")
    files.finish_killed("production", f"The supervisor took over. {HOSTILE}", result)
    return files


@pytest.mark.parametrize(
    ("result", "failed", "verdict", "code"),
    [
        (RollbackResult(RollbackOutcome.NOT_NEEDED), (), Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE),
        (RollbackResult(RollbackOutcome.DONE, ("login",), verified=True), ("login",), Verdict.FAIL, ExitCode.FAIL),
        (RollbackResult(RollbackOutcome.DONE, ("login",), verified=True), (), Verdict.FAIL, ExitCode.FAIL),
        (RollbackResult(RollbackOutcome.DONE, ("login",), verified=False), (), Verdict.FAIL, ExitCode.ROLLBACK_FAILED),
        (RollbackResult(RollbackOutcome.WITHHELD, ("login",)), ("login",), Verdict.FAIL, ExitCode.FAIL),
        (RollbackResult(RollbackOutcome.FAILED), (), Verdict.INCONCLUSIVE, ExitCode.ROLLBACK_FAILED),
    ],
)
def test_the_files_of_a_killed_run_say_what_was_done_in_its_stead(
    tmp_path: Path, result: RollbackResult, failed: tuple[str, ...], verdict: Verdict, code: ExitCode
) -> None:
    files = _killed(tmp_path, replace(result, from_revision="b", to_revision="a"), *failed)
    written = VerdictFile.model_validate_json(files.verdict.read_text(encoding="utf-8"))
    assert (written.verdict, written.exit_code, written.finished) == (verdict, code, None)
    assert (written.rollback.outcome, written.rollback.to_revision) == (result.outcome, "a")
    criteria = {criterion.id: criterion.reason for criterion in written.criteria}
    assert list(criteria) == list(failed or result.triggers)
    assert all(criteria.values()), "each says why, or who does"
    assert files.is_unfinished
    for path in (files.report, files.summary):
        text = path.read_text(encoding="utf-8")
        assert "did not finish" in text
        assert "The supervisor took over" in text
        explained = "Why production moved" if result.outcome is RollbackOutcome.DONE else "Why it did not"
        assert (explained in text) is (result.outcome is not RollbackOutcome.NOT_NEEDED)
    assert "<script>document" not in files.report.read_text(encoding="utf-8")


def test_a_dry_run_that_was_killed_calls_nobody_to_the_rescue(tmp_path: Path) -> None:
    files = _killed(tmp_path, RollbackResult(RollbackOutcome.WITHHELD, ("login",)), dry_run=True)
    assert "this was a dry run" in files.summary.read_text(encoding="utf-8")


def test_a_run_that_wrote_its_verdict_keeps_it(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, _begun("production"), ["smoke"])
    files.write(replace(_begun("production"), finished=BEGAN))
    before = files.verdict.read_bytes(), files.report.read_bytes()
    assert not files.is_unfinished
    files.finish_killed("production", "acted", RollbackResult(RollbackOutcome.DONE, ("login",), to_revision="a"))
    assert (files.verdict.read_bytes(), files.report.read_bytes()) == before
    assert "Rolled back to a" in files.summary.read_text(encoding="utf-8")


def test_a_rollback_by_hand_that_was_killed_leaves_a_summary_alone(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "rollback")
    Journal(files.journal).write("begun")
    files.finish_killed("production", "acted", RollbackResult(RollbackOutcome.DONE, to_revision="a"))
    assert sorted(one.name for one in files.folder.iterdir()) == ["journal.jsonl", "summary.md"]
    assert "## Why production moved" in files.summary.read_text(encoding="utf-8")


def test_a_full_disk_keeps_nobody_from_being_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    RunFiles(tmp_path / "file").finish_killed("production", "acted", RollbackResult(RollbackOutcome.DONE))
    assert "were not written" in capsys.readouterr().err
