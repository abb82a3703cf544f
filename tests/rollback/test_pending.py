"""What an interrupted run owes, and which later run has found that out in its stead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reports.run_files import RunFiles
from rollback.supervisor.pending import Pending, open_runs, pending, without_journal
from verification.records.journal import Journal, JournalView, journals
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult, RunRecord
from verification.records.unfinished import unfinished_verdict
from verification.settings.service import CloudRunSettings

SERVICE = CloudRunSettings(service="backend", region="us-east1", project="project")
PLAN = RollbackPlan({"bad": 100}, "good", "seen", ("bad",))
OTHER = replace(PLAN, shares={"other": 100})
SERVES = {"bad": 100}
NOT_NEEDED, DONE, WITHHELD = RollbackOutcome.NOT_NEEDED, RollbackOutcome.DONE, RollbackOutcome.WITHHELD


def run(output: Path, name: str, *phases: str, plan: RollbackPlan = PLAN) -> Journal:
    """A run of these phases that has begun and is armed; its process is this one."""
    journal = Journal(output / name / "journal.jsonl")
    journal.begun(environment="production", phases=phases, allowed=True, dry_run=False)
    journal.armed(SERVICE, plan)
    return journal


def owed(output: Path, shares: dict[str, int] | None = SERVES) -> list[str]:
    return [journal.run for journal in open_runs(output, "production", shares)]


@pytest.mark.parametrize(
    ("outcome", "verdict", "guard", "answered"),
    [
        (NOT_NEEDED, "pass", "", True),
        (NOT_NEEDED, "fail", "", True),
        (DONE, "", "", True),  # a rollback settles without a verdict
        (NOT_NEEDED, "inconclusive", "", False),
        (WITHHELD, "inconclusive", "cut_off", False),
        (NOT_NEEDED, "", "", False),
    ],
)
def test_a_look_is_owed_until_a_later_run_came_to_a_verdict(
    outcome: RollbackOutcome, verdict: str, guard: str, answered: bool, tmp_path: Path
) -> None:
    run(tmp_path, "first", "monitor")
    run(tmp_path, "later", "smoke").settled(RollbackResult(outcome, guard=guard), verdict=verdict)
    assert owed(tmp_path) == ([] if answered else ["first"])


@pytest.mark.parametrize(
    ("phases", "plan", "verdict", "answered"),
    [
        (("smoke", "monitor"), PLAN, "pass", True),
        (("monitor",), PLAN, "pass", True),
        (("smoke",), PLAN, "pass", False),  # it has not asked what failed
        (("monitor",), OTHER, "pass", False),
        (("monitor",), PLAN, "inconclusive", False),
        (("monitor",), PLAN, "", False),
    ],
)
def test_a_rollback_is_owed_until_the_same_phases_found_the_same_revision_good(
    phases: tuple[str, ...], plan: RollbackPlan, verdict: str, answered: bool, tmp_path: Path
) -> None:
    run(tmp_path, "first", "monitor").failed("error_rate")
    run(tmp_path, "later", *phases, plan=plan).settled(RollbackResult(NOT_NEEDED), verdict=verdict)
    assert owed(tmp_path) == ([] if answered else ["first"])


@pytest.mark.parametrize(
    ("shares", "under_way", "is_owed"),
    [
        ({"bad": 100}, False, True),
        ({"good": 100}, False, True),
        ({"bad": 10, "new": 90}, False, True),
        ({"new": 100}, False, False),
        ({"new": 100}, True, True),
        (None, False, True),
    ],
)
def test_what_does_not_serve_any_more_owes_nothing_unless_it_has_begun_to_act(
    shares: dict[str, int] | None, under_way: bool, is_owed: bool, tmp_path: Path
) -> None:
    journal = run(tmp_path, "first", "smoke")
    journal.failed("login")
    if under_way:
        journal.write("rolling-back")
    assert owed(tmp_path, shares) == (["first"] if is_owed else [])


def test_rollbacks_come_before_looks(tmp_path: Path) -> None:
    run(tmp_path, "rollback", "smoke").failed("login")
    run(tmp_path, "look", "smoke")
    assert owed(tmp_path) == ["rollback", "look"]
    assert [pending(journal) for journal in journals(tmp_path, "production")] == [Pending.SMOKE, Pending.ROLLBACK]


def test_a_run_that_left_no_journal_is_known_by_its_own_files(tmp_path: Path) -> None:
    files = RunFiles.create(tmp_path, RunRecord("production"), ("smoke",))
    RunFiles.create(tmp_path, RunRecord("staging"), ("smoke",))
    RunFiles.create(tmp_path, RunRecord("production"), ("pre",))
    assert without_journal(tmp_path, "production", []) == [files.folder]
    assert unfinished_verdict(files.folder)
    run(tmp_path, "later", "smoke")
    assert without_journal(tmp_path, "production", [JournalView.read(tmp_path / "later" / "journal.jsonl")]) == []


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"finished": "2026-01-01T00:00:00Z"}'])
def test_a_verdict_that_is_finished_or_none_is_not_unfinished(text: str, tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text(text, encoding="utf-8")
    assert unfinished_verdict(tmp_path) == {}
