"""`pytest -m deploy`: a good deployment, bad ones, and one that is under way when the run begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import web
from tests.runs.conftest import Runner, World, until

DEPLOY = {
    "workflow_jobs_are_green",
    "deployment_duration",
    "startup_logs_are_clean",
    "transition_is_smooth",
}


def test_a_good_deployment_passes_and_shows_what_was_seen(run: Runner, busy_world: World) -> None:
    ran = run("-m", "deploy", "--env", "sandbox", "--fault", "dependency-slow", variables=busy_world.variables)
    assert ran.code == 0, ran.said
    assert {criterion.id for criterion in ran.verdict.criteria} == DEPLOY
    seen = {each.name: each.value for criterion in ran.verdict.criteria for each in criterion.measurements}
    for job in ("validate-inputs", "build", "deploy", "health-check"):
        assert seen[f"job {job}"] == "success"
    assert seen["start"] == seen["database connection"] == "seen"
    assert seen["errors in the log"] == 0


@pytest.mark.parametrize(
    ("faults", "failed", "words"),
    [
        ("build-red", {"workflow_jobs_are_green"}, "job build is failure"),
        (
            "health-check-red,startup-errors,slow-deployment",
            DEPLOY - {"transition_is_smooth"},
            "it failed at the step 'Ask the new revision'",
        ),
    ],
)
def test_what_went_wrong_is_said_and_nothing_moves(
    run: Runner, world: World, faults: str, failed: set[str], words: str
) -> None:
    ran = run("-m", "deploy", "--env", "sandbox", "--fault", faults, variables=world.variables)
    assert ran.code == 1, ran.said
    assert {criterion.id for criterion in ran.verdict.criteria if criterion.verdict == "fail"} == failed
    assert words in ran.said
    assert "pytest -m smoke --env sandbox" in ran.said, "whether what serves is well is for smoke to say"
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {world.note()["current"]}


def test_a_revision_that_never_starts_is_told_and_production_stays(run: Runner, new_world: World) -> None:
    before = new_world.note()["current"]
    ran = run("-m", "deploy", "--env", "sandbox", "--fault", "deploy-red", variables=new_world.variables)
    assert ran.code == 1, ran.said
    assert ran.of("workflow_jobs_are_green") == "fail"
    assert (ran.of("startup_logs_are_clean"), ran.of("transition_is_smooth")) == ("inconclusive", "inconclusive")
    assert new_world.answering() == {before}


def test_a_deployment_under_way_is_waited_for_before_anything_is_asked(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    there, before = world.document["github"], world.note()["current"]
    world.break_("workflow-hangs")
    repository = f"{there['url']}/repos/{there['repository']}/actions/workflows/deploy-production.yml/dispatches"
    web.post(
        repository,
        json={"ref": "main", "inputs": {"staging_verification": "true"}},
        headers={"Authorization": f"Bearer {there['token']}"},
    ).raise_for_status()
    file = production(
        ('repository = "$GITHUB_REPOSITORY"', f'repository = "{there["repository"]}"\nurl = "{there["url"]}"'),
        ('logged_within = "2m"', 'logged_within = "1s"'),  # nobody but the suite asks anything here
    )
    arguments = ("-m", "deploy or smoke", "--env", "production", f"--deployment={file}")
    process = run.start(*arguments, variables={**account, "GITHUB_TOKEN": str(there["token"])})
    until((run.output / "latest" / "journal.jsonl").exists, "the run waits")
    assert world.note()["current"] == before
    world.break_()
    ran = run.end(process)
    deployed = world.note()["current"]
    assert deployed != before
    assert ran.verdict.revision == deployed, ran.said
    verdicts = {criterion.id: criterion.verdict for criterion in ran.verdict.criteria}
    assert verdicts.pop("transition_is_smooth") == "inconclusive", ran.said
    assert set(verdicts.values()) == {"pass"}, ran.said
    assert verdicts.keys() > DEPLOY - {"transition_is_smooth"}
