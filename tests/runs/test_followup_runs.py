"""`pytest -m followup`, days after a deployment: it reads the log, writes nothing twice, and waits for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.runs.conftest import SHIPPED, Runner, World, patient
from verification.records.deployment_log import LogFile
from verification.records.deployments import DeploymentOutcome

HUMAN = ("cloud_run_costs_reviewed", "user_feedback_reviewed", "deployment_metrics")


def test_a_rolled_back_deployment_has_its_own_truth_and_people_answer_for_theirs(
    run: Runner, busy_world: World
) -> None:
    world = busy_world
    variables = world.variables
    failed = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken", variables=variables)
    assert failed.code == 1, failed.said
    bad, good = failed.verdict.revision, failed.verdict.previous_revision

    file = run.folder / "deployment.toml"
    file.write_text(patient(SHIPPED).replace('signed_off_by = "nobody: a rehearsal"', ""), encoding="utf-8")
    arguments = ["-m", "followup", "--env", "sandbox", f"--deployment={file}"]
    first = run(*arguments, variables=variables)
    assert first.code == 75, first.said
    assert first.verdict.revision == bad
    assert all(first.of(one) == "inconclusive" for one in HUMAN)
    assert "needs a person: nobody has signed it off yet" in first.said
    assert "needs a person: 1 deployment: too few to tell" in first.said
    assert first.of("team_is_told_of_success") == "pass"
    told = [one["text"] for one in world.slack("deployments") if f"Revision: {bad} back to {good}" in one["text"]]
    assert len(told) == 1
    assert "Because of: login" in told[0]

    signed = [f"--sign-off={line}=Noa Levi" for line in HUMAN]
    deadline = time.monotonic() + 60
    second = run(*arguments, *signed, variables=variables)
    while second.of("second_watch_is_quiet") == "inconclusive":  # it is not over yet
        assert time.monotonic() < deadline, second.said
        second = run(*arguments, *signed, variables=variables)
    assert second.code == 0, second.said
    values = {one.name: one.value for each in second.verdict.criteria for one in each.measurements}
    assert values["message"] == "posted before"
    assert values["Sentry release"] == values["GitHub deployment"] == "recorded before"
    assert run(*arguments, variables=variables).code == 0, "who signed once has signed"
    again = [one for one in world.slack("deployments") if f"Revision: {bad} back to" in one["text"]]
    assert len(again) == 1, "the team is told once"

    (deployment,) = LogFile(run.output / "deployments.jsonl").deployments()
    assert (deployment.revision, deployment.state) == (bad, DeploymentOutcome.ROLLED_BACK)
    assert {(one.line, one.name) for one in deployment.signed} == {(line, "Noa Levi") for line in HUMAN}


def test_only_what_people_answer_for_is_signed(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    file = f"--deployment={production()}"
    wrong = run("-m", "followup", "--env", "production", file, "--sign-off=p95=Noa", variables=account)
    assert wrong.code == 4
    assert "the lines to be signed off are: cloud_run_costs_reviewed, deployment_metrics, " in wrong.said
