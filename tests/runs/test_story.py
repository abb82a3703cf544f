"""The main job, end to end: a bad release is caught, undone and reported; a healthy one is left alone."""

from __future__ import annotations

import pytest

from tests.runs.conftest import Runner, World

# Each service fault, and criteria that must see it.
FAULTS = {
    "unhealthy": {"basic_health", "readiness", "deep_health", "login"},
    "login-broken": {"login"},
    "search-broken": {"search"},
    "playback-broken": {"video_playback"},
    "mongodb-down": {"login", "content_listing", "search"},
    "mongodb-slow": {"deep_health"},
    "dependency-slow": {"deep_health"},
}


def test_a_healthy_release_passes_and_is_left_alone(run: Runner) -> None:
    ran = run("-m", "smoke", "--env", "sandbox")
    assert ran.code == 0, ran.said
    assert ran.verdict.verdict == "pass"
    assert ran.verdict.rollback.outcome == "not needed"
    assert {one.verdict for one in ran.verdict.criteria} == {"pass"}
    assert ran.verdict.criteria_selected == ran.verdict.criteria_in_phase == len(ran.verdict.criteria) == 9
    assert all(one.measurements for one in ran.verdict.criteria), "every verdict shows its evidence"
    assert {file.name for file in ran.folder.iterdir()} >= {
        "report.html",
        "junit.xml",
        "verdict.json",
        "summary.md",
        "journal.jsonl",
    }
    assert [entry.event for entry in ran.journal] == ["begun", "armed", "settled"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_release_is_caught_undone_and_reported(fault: str, run: Runner, world: World) -> None:
    before = world.answering().pop()
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", fault, variables=world.variables)
    assert ran.code == 1, ran.said
    assert world.answering() == {before}, "the client of the ingress sees the old revision again"
    verdict = ran.verdict
    assert verdict.verdict == "fail"
    assert set(verdict.rollback.triggers) & FAULTS[fault]
    assert (verdict.rollback.outcome, verdict.rollback.verified) == ("done", True)
    assert (verdict.rollback.to_revision, verdict.rollback.from_revision) == (before, world.note()["current"])
    assert verdict.revision == world.note()["current"]
    assert before in ran.report
    assert [entry.event for entry in ran.journal if entry.event != "failed"] == [
        "begun", "armed", "control-tag-set", "seen", "control", "rolling-back", "shifted", "asked-after", "verified",
        "control-tag-removed", "settled", *["call-queued"] * 3, *["call-sent"] * 3,
    ]  # fmt: skip


def test_a_start_that_is_not_finished_is_asked_again_and_passes(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "slow-start", variables=world.variables)
    assert ran.code == 0, ran.said
    assert world.answering() == {world.note()["current"]}
    assert "asked twice: the first answer was 503" in ran.report


def test_several_faults_at_once_are_all_reported(run: Runner, world: World) -> None:
    before = world.answering().pop()
    ran = run(
        "-m", "smoke", "--env", "sandbox", "--fault", "search-broken,login-broken", "--fault", "rollback-conflict",
        variables=world.variables,
    )  # fmt: skip
    assert ran.code == 1, ran.said
    assert {"search", "login"} <= set(ran.verdict.rollback.triggers)
    assert ran.verdict.rollback.outcome == "done", "somebody else's harmless change in between is no reason to give up"
    assert world.answering() == {before}
