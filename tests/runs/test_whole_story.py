"""`pytest --env sandbox`: the gates, the deployment between them, and what is asked after it, in one run."""

from __future__ import annotations

from tests.runs.conftest import SHIPPED, Runner, World, patient, without_the_code
from verification.records.deployment_log import LogFile
from verification.records.deployments import DeploymentOutcome
from verification.verdict import Verdict


def test_what_passes_its_gates_is_deployed_asked_anew_and_followed_up(run: Runner, busy_world: World) -> None:
    world = busy_world
    before = world.answering()
    file = run.folder / "deployment.toml"
    file.write_text(without_the_code(patient(SHIPPED)), encoding="utf-8")
    ran = run("-m", "pre or smoke or followup", "--env", "sandbox", f"--deployment={file}", variables=world.variables)
    assert ran.code == 0, ran.said
    assert set(ran.verdict.phases) == {"pre", "smoke", "followup"}
    assert ran.verdict.previous_revision in before
    assert world.answering() == {ran.verdict.revision} != before
    announcement, success, outcome = world.slack("deployments")[-3:]
    assert success["thread_ts"] == announcement["ts"]
    assert success["text"].startswith(
        ":white_check_mark: Production deployment complete\n"
        f"Commit: {ran.verdict.commit}\nRevision: {ran.verdict.revision}\n"
        "Status: All health checks passing\nMonitoring: 3 seconds stable\n"
    )
    assert outcome["thread_ts"] == announcement["ts"], "the team is told in the thread of the announcement"
    assert "GO: All " in outcome["text"]
    (deployment,) = LogFile(run.output / "deployments.jsonl").deployments()
    assert (deployment.revision, deployment.state) == (ran.verdict.revision, DeploymentOutcome.GOOD)
    assert deployment.verdicts == dict.fromkeys(("pre", "smoke", "followup"), Verdict.PASS)
    served = next(one for one in ran.verdict.criteria if one.id == "serving_the_deployed_revision")
    assert ran.verdict.revision in {one.value for one in served.measurements}, "not what was answered before"


def test_a_release_that_breaks_in_production_only_is_undone(run: Runner, new_world: World) -> None:
    world = new_world  # tickets of rollbacks before would close the gate
    before = world.answering()
    ran = run("--env", "sandbox", "--fault", "login-broken", variables=world.variables)
    assert ran.code == 1, ran.said
    assert (ran.of("login[staging]"), ran.of("login")) == ("pass", "fail")
    assert ran.verdict.rollback.outcome == "done"
    assert "NO-GO: Rolled back to " in world.slack("deployments")[-1]["text"]
    assert world.answering() == before


def test_a_gate_that_is_not_passed_keeps_the_release_from_production(run: Runner, new_world: World) -> None:
    world = new_world
    before = world.answering()
    file = run.folder / "deployment.toml"
    file.write_text(without_the_code(SHIPPED), encoding="utf-8")
    ran = run("--env", "sandbox", "--fault", "slack-down", f"--deployment={file}", variables=world.variables)
    assert ran.code == 75, ran.said
    assert "nothing was deployed, because these do not pass: " in ran.said
    assert "team_is_notified" in ran.said
    assert {one.phase for one in ran.verdict.criteria} == {"pre"}
    assert ran.verdict.criteria_in_phase > len(ran.verdict.criteria)
    assert world.answering() == before
