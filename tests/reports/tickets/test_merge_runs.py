"""Several runs of one release as one ticket."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reports import record_file
from reports.__main__ import main
from reports.banner import headline
from reports.command_line import CommandExit
from reports.tickets.merge_runs import merge_runs
from verification.errors import ObserverError
from verification.records.run_record import RollbackOutcome, RollbackResult, RunRecord
from verification.verdict import Measurement, Verdict


@pytest.fixture
def pre(record: RunRecord) -> RunRecord:
    """The run before the others, which has no commit of its own and names it in a measurement."""
    commit = Measurement("commit", record.commit, limit=record.commit, rule="=")
    checked = replace(record.criteria[0], id="staging_runs_release_candidate", phase="pre", measurements=(commit,))
    return replace(
        record,
        phases=("pre",),
        started=record.started - timedelta(hours=1),
        criteria=[checked],
        criteria_in_phase=1,
        criteria_selected=1,
        commit="",
        revision="backend-00042",
        notices=["nobody was told"],
    )


def test_phases_are_put_together_in_their_order(pre: RunRecord, record: RunRecord) -> None:
    joined = merge_runs([record, pre])
    assert joined.phases == ("pre", "smoke", "monitor")
    assert [one.id for one in joined.criteria] == ["staging_runs_release_candidate", "basic_health", "search"]
    assert (joined.started, joined.finished) == (pre.started, record.finished)
    assert (joined.verdict, headline(joined).word) == (Verdict.PASS, "GO")
    assert (joined.revision, joined.commit) == (record.revision, record.commit)
    assert joined.notices == ["pre (production): nobody was told"]


def test_a_phase_that_was_run_again_counts_as_it_came_out_last(failed: RunRecord, pre: RunRecord) -> None:
    again = replace(
        failed, started=failed.started + timedelta(hours=1), criteria=failed.criteria[:1], criteria_in_phase=1
    )
    joined = merge_runs([failed, again, pre])
    assert joined.verdict is Verdict.PASS
    assert any("was run again" in one for one in joined.notices)


def test_a_rollback_is_never_taken_back(rolled_back: RunRecord) -> None:
    again = replace(
        rolled_back,
        started=rolled_back.started + timedelta(hours=1),
        criteria=rolled_back.criteria[:1],
        criteria_in_phase=1,
        rollback=replace(rolled_back.rollback, outcome=RollbackOutcome.NOT_NEEDED),
    )
    joined = merge_runs([rolled_back, again])
    assert headline(joined).word == "NO-GO"
    assert joined.rollback.to_revision == "backend-00042"
    assert joined.verdict is Verdict.FAIL


def test_a_ticket_explains_the_rollback_that_it_tells_of(explained: RunRecord, record: RunRecord) -> None:
    later = replace(record, phases=("followup",), started=explained.started + timedelta(hours=1), why=())
    no_rollback = replace(later, rollback=RollbackResult(RollbackOutcome.NOT_NEEDED))
    assert merge_runs([explained, no_rollback]).why == explained.why
    failed_alone = replace(explained, rollback=no_rollback.rollback)
    assert merge_runs([failed_alone, no_rollback]).why == explained.why
    assert merge_runs([no_rollback]).why == ()


def test_a_phase_that_did_not_end_leaves_the_whole_open(pre: RunRecord, record: RunRecord) -> None:
    assert merge_runs([replace(pre, finished=None), record]).finished is None


@pytest.mark.parametrize("change", [{"commit": "another"}, {"revision": "backend-00044"}])
def test_runs_of_different_releases_are_refused(record: RunRecord, change: dict[str, str]) -> None:
    other = replace(record, phases=("followup",), **change)  # type: ignore[arg-type]
    with pytest.raises(ObserverError, match="not of one release"):
        merge_runs([record, other])


def test_a_release_candidate_of_another_release_is_refused(pre: RunRecord, record: RunRecord) -> None:
    with pytest.raises(ObserverError, match="not of one release"):
        merge_runs([pre, replace(record, commit="another")])


def test_criteria_of_two_environments_keep_apart(record: RunRecord) -> None:
    joined = merge_runs([replace(record, environment="staging"), record])
    ids = [one.id for one in joined.criteria]
    assert len(set(ids)) == 4
    assert "search[staging]" in ids


def test_a_record_is_read_back_as_it_was_without_secrets(rolled_back: RunRecord, secret: str, tmp_path: Path) -> None:
    record_file.write(tmp_path / "record.json", rolled_back)
    assert record_file.read(tmp_path / "record.json") == rolled_back
    rolled_back.not_configured = {f"x {secret}": secret}
    record_file.write(tmp_path / "record.json", rolled_back)
    assert secret not in (tmp_path / "record.json").read_text(encoding="utf-8")


def test_the_command_writes_the_page(
    pre: RunRecord, rolled_back: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, one in (("one", pre), ("two", rolled_back)):
        (tmp_path / name).mkdir()
        record_file.write(tmp_path / name / "record.json", one)
    page = tmp_path / "ticket.html"
    assert main(["join", str(tmp_path / "one"), str(tmp_path / "two"), "--output", str(page)]) == 0
    assert "NO-GO" in capsys.readouterr().out
    assert "staging_runs_release_candidate" in page.read_text(encoding="utf-8")
    assert main(["join", str(tmp_path / "nowhere")]) == CommandExit.UNKNOWN
    assert "cannot be read" in capsys.readouterr().err
