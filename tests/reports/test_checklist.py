"""The checklist in the report: every criterion stands in it, and every line says how it stands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from reports.checklist import FilledLine, LineState, fill
from reports.checklist_lines import AFTER_ROLLBACK, BEFORE_ROLLBACK
from reports.page import banner_html, full_page
from reports.timeline import timeline
from tests.conftest import ROOT
from tests.reports.conftest import BEGAN
from verification.criteria.criterion import declared
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult, RunRecord, TimelineEntry
from verification.verdict import Measurement, Verdict

LINES = [
    line
    for section in (*BEFORE_ROLLBACK.values(), *AFTER_ROLLBACK.values())
    for lines in section.values()
    for line in lines
]


def _filled_lines(record: RunRecord) -> dict[str, FilledLine]:
    """The answers by their line; of two lines with one text, the first."""
    found: dict[str, FilledLine] = {}
    for section in fill(record):
        for part in section.parts:
            for one in part.lines:
                found.setdefault(one.text, one)
    return found


def test_every_criterion_stands_in_the_checklist() -> None:
    ours = {one.name.removeprefix("test_"): one.phases for one in declared([ROOT / "verification", ROOT / "smoke"])}
    assert len(ours) > 20
    lacking = [
        f"{name} ({phase})"
        for name, phases in ours.items()
        for phase in phases
        if not any(name in line.criteria and phase in line.phases for line in LINES)
    ]
    assert lacking == [], "give them a line in reports/checklist_lines.py"


def test_sections_are_in_the_document_s_order(record: RunRecord) -> None:
    assert [one.heading for one in fill(record)] == [
        "Pre-Deployment", "Deployment Execution", "Post-Deployment Verification", "Monitoring Period",
        "Success Criteria", "Rollback", "Post-Deployment Actions",
    ]  # fmt: skip


def test_a_line_is_as_good_as_its_worst_criterion(failed: RunRecord) -> None:
    answers = _filled_lines(failed)
    assert answers["User login"].state is LineState.FAIL
    assert answers["Health: basic"].state is LineState.PASS
    assert answers["All smoke tests pass"].state is LineState.FAIL
    assert answers["All smoke tests pass"].note.startswith("readiness: not part of this run")


@pytest.mark.parametrize(
    ("phase", "not_configured", "not_asked", "state"),
    [
        ("smoke", {}, {}, LineState.ABSENT),
        ("monitor", {}, {}, LineState.ABSENT),
        ("monitor", {"openai_latency": "monitor"}, {}, LineState.NOT_CONFIGURED),
        ("monitor", {}, {"openai_latency": "left out on the command line"}, LineState.LEFT_OUT),
    ],
)
def test_a_line_without_an_answer_says_why(
    record: RunRecord, phase: str, not_configured: dict[str, str], not_asked: dict[str, str], state: LineState
) -> None:
    record.phases, record.not_configured, record.not_asked = (phase,), not_configured, not_asked
    assert _filled_lines(record)["OpenAI: latency"].state is state
    assert _filled_lines(record)["User feedback is read"].state is LineState.PERSON


def test_a_criterion_of_staging_answers_staging_s_line(record: RunRecord) -> None:
    record.criteria = [replace(record.criteria[0], id="login[staging]", phase="pre")]
    answers = _filled_lines(record)
    assert answers["Smoke tests against staging"].state is LineState.PASS
    assert answers["User login"].state is LineState.ABSENT


def test_a_team_s_own_criteria_come_last(record: RunRecord) -> None:
    record.criteria.append(replace(record.criteria[0], id="payments", title="Payments work."))
    last = fill(record)[-1]
    assert (last.heading, last.parts[0].lines[0].text) == ("Criteria of your own", "Payments work.")


@pytest.mark.parametrize(
    ("result", "states"),
    [
        (RollbackResult(RollbackOutcome.NOT_NEEDED), {LineState.ABSENT}),
        (RollbackResult(RollbackOutcome.DONE, verified=True), {LineState.PASS, LineState.PERSON}),
        (RollbackResult(RollbackOutcome.DONE, verified=False), {LineState.PASS, LineState.FAIL, LineState.PERSON}),
        (RollbackResult(RollbackOutcome.FAILED), {LineState.FAIL, LineState.PERSON}),
        (RollbackResult(RollbackOutcome.WITHHELD), {LineState.INCONCLUSIVE, LineState.PERSON}),
    ],
)
def test_the_rollback_section_says_what_became_of_it(
    record: RunRecord, result: RollbackResult, states: set[LineState]
) -> None:
    record.rollback = result
    [section] = [one for one in fill(record) if one.heading == "Rollback"]
    assert {one.state for part in section.parts for one in part.lines} == states


def test_the_timeline_runs_from_the_start_over_the_failure_to_the_verification(
    rolled_back: RunRecord, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    steps: list[dict[str, object]] = [
        {"event": "failed", "criterion": "login", "at": "2026-11-23T10:16:00Z"},
        {"event": "control", "verdict": "better", "at": "2026-11-23T10:16:00.5Z"},
        {"event": "rolling-back", "from_revision": "b", "to_revision": "a", "strategy": "cloud_run", "at": "2026-11-23T10:16:01Z"},
        {"event": "shifted", "from_revision": "b", "to_revision": "a", "at": "2026-11-23T10:16:03Z"},
        {"event": "verified", "verified": True, "at": "2026-11-23T10:16:05Z"},
        {"event": "armed", "at": "2026-11-23T10:15:01Z"},
    ]  # fmt: skip
    lines = [json.dumps({"seq": number, **step}) for number, step in enumerate(steps, 1)]
    journal.write_text("\n".join([*lines, '{"torn']), encoding="utf-8")
    rolled_back.criteria = [replace(one, ended=BEGAN) for one in rolled_back.criteria]
    assert [(f"{one.at:%H:%M:%S}", one.text, one.failed) for one in timeline(rolled_back, journal)] == [
        ("10:15:00", "Started: smoke, monitor, production.", False),
        ("10:16:00", "login failed: login status is 500, expected 200", True),
        ("10:16:00", "The revision from before was asked the same: better.", False),
        ("10:16:01", "Rollback begins from b to a, through cloud_run.", False),
        ("10:16:03", "Traffic has moved from b to a.", False),
        ("10:16:05", "Checked after the rollback: the service is well again.", False),
        ("10:30:12", "The run ended.", False),
    ]


def test_without_a_journal_a_failure_still_has_its_time(failed: RunRecord, tmp_path: Path) -> None:
    failed.criteria = [replace(one, ended=BEGAN) for one in failed.criteria]
    assert [one.text for one in timeline(failed, tmp_path / "none") if one.failed] == [
        "login failed: login status is 500, expected 200"
    ]


def test_revisions_release_and_what_was_not_asked_are_shown(rolled_back: RunRecord) -> None:
    commits = Measurement("commits", 2, note="abc1234 feat: one; def5678 fix: two")
    traffic = Measurement("traffic of backend-00043", 100, "%", limit=100, rule="=")
    rolled_back.criteria += [
        CriterionResult("changelog_covers_release", "", "pre", Verdict.PASS, (commits,)),
        CriterionResult("serving_the_deployed_revision", "", "smoke", Verdict.PASS, (traffic,)),
    ]
    rolled_back.timeline = [TimelineEntry(BEGAN, "Started.")]
    rolled_back.not_asked = {"staging_soaked": "does not apply to the profile hotfix"}
    page = banner_html(rolled_back).replace("\n", "")
    for said in (
        *("<li>abc1234 feat: one</li><li>def5678 fix: two</li>", "100 % (must be 100 %)", "served before"),
        *("After the rollback", "Does not apply to the profile hotfix", "<code>staging_soaked</code>"),
    ):
        assert said in page, said


def test_headings_are_in_order_and_ids_are_unique(rolled_back: RunRecord) -> None:
    rolled_back.timeline = [TimelineEntry(BEGAN, "Started.")]
    page = full_page(rolled_back)
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
