"""What becomes of production when a rollback is not wanted, not possible or goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.conftest import Runner, World
from verification.records.journal import JournalView


def test_a_rollback_that_fails_calls_a_person_with_the_command(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken,rollback-fails", variables=world.variables)
    assert ran.code == 70, ran.said
    assert world.answering() == {world.note()["current"]}, "the sandbox kept its word: traffic did not move"
    assert ran.verdict.exit_code == 70
    assert ran.verdict.rollback.outcome == "failed"
    command = f"--to-revisions={world.note()['previous']}=100"
    assert command in ran.said
    assert command in ran.report
    assert command in (ran.folder / "summary.md").read_text(encoding="utf-8")
    assert "could NOT be rolled back: a person is needed now" in world.slack("incidents")[-1]["text"]
    assert command in world.slack("incidents")[-1]["text"]
    assert "told #incidents" in ran.said
    assert "told an incident ticket on GitHub (https://github.com/" in ran.report


def test_a_bad_release_while_cloud_run_is_down_calls_a_person(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken,cloud-run-down", variables=world.variables)
    assert ran.code == 70, ran.said
    assert ran.verdict.rollback.outcome == "failed"
    assert ran.of("serving_the_deployed_revision") == "inconclusive"


def test_an_observer_that_is_down_neither_passes_nor_rolls_back(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "cloud-run-down", variables=world.variables)
    assert ran.code == 75, ran.said
    assert ran.of("serving_the_deployed_revision") == "inconclusive"
    assert ran.of("login") == "pass", "the service is still asked its questions"
    assert ran.verdict.rollback.outcome == "not needed"
    assert ran.said.index("no rollback would be possible") < ran.said.index("verdict ="), "said at the start"
    assert f"    python -m rollback -e sandbox --to-revision {world.note()['previous']}" in ran.said, (
        "people may know more"
    )
    assert world.answering() == {world.note()["current"]}


def test_no_rollback_leaves_production_and_says_how(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken", "--no-rollback", variables=world.variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "withheld"
    assert f"python -m rollback -e sandbox --to-revision {world.note()['previous']}" in ran.said
    assert world.answering() == {world.note()["current"]}


def test_a_dry_run_writes_nothing_and_says_what_it_would_have_done(run: Runner, world: World) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken", "--dry-run", variables=world.variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "withheld"
    assert "dry run: would send all traffic" in ran.verdict.rollback.reason
    assert world.answering() == {world.note()["current"]}


def test_a_manual_policy_leaves_it_to_a_person(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    world.release("login-broken")
    file = production(('policy = "automatic"                         #', 'policy = "manual" #'))
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "withheld"
    assert world.answering() == {world.note()["current"]}


def test_nothing_known_to_roll_back_to_is_withheld_not_guessed(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release("login-broken")
    ran = run("-m", "smoke", "--env", "production", f"--deployment={production()}", variables=account)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "withheld"
    assert note["previous"] in ran.said, "the candidates are named"
    assert world.answering() == {note["current"]}


def test_a_fresh_runner_that_nobody_told_anything_goes_back_to_whom_users_were_answered_by(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    """No record, no note: the request log alone, in which `answering` asks as users do."""
    [good] = world.answering()
    world.release("login-broken")
    ran = run("-m", "smoke", "--env", "production", f"--deployment={production()}", variables=account)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.to_revision) == ("done", good)
    plan = JournalView.read(ran.folder / "journal.jsonl").plan
    assert plan is not None
    assert plan.evidence.startswith("request log: it answered 20 users in a row")
    assert world.answering() == {good}


def test_what_an_earlier_run_saw_serving_is_what_a_later_one_rolls_back_to(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    file = str(production())
    first = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert first.verdict.revision == world.note()["current"], first.said
    note = world.release("login-broken")
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.to_revision) == ("done", note["previous"])
    assert world.answering() == {note["previous"]}


def test_the_variable_of_the_deploy_workflow_names_the_previous_revision(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release("search-broken")
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={production()}", variables=variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "done"
    assert world.answering() == {note["previous"]}


def test_a_revision_that_was_deployed_but_does_not_serve_is_not_rolled_back(run: Runner, world: World) -> None:
    first = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken", variables=world.variables)
    assert first.verdict.rollback.outcome == "done", first.said
    # The traffic is pinned now: the next deployment gets none of it.
    second = run("-m", "smoke", "--env", "sandbox", "--fault", "search-broken", variables=world.variables)
    assert second.code == 1, second.said
    assert second.of("serving_the_deployed_revision") == "fail"
    assert second.of("search") == "pass"
    assert second.verdict.rollback.outcome == "not needed"
    assert "--to-latest" in second.said, "how to let the traffic follow deployments again is said"
    assert world.answering() == {first.verdict.rollback.to_revision}


def test_split_traffic_is_left_to_people_who_hear_the_shares_and_the_command(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release()
    world.split({note["previous"]: 90, note["current"]: 10})
    ran = run("-m", "smoke", "--env", "production", f"--deployment={production()}", variables=account)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.guard) == ("withheld", "traffic_split")
    assert f"{note['previous']} 90 %, {note['current']} 10 %" in ran.verdict.rollback.reason
    assert f"python -m rollback -e production --to-revision {note['previous']}" in ran.said
    assert "nothing that another revision would mend" not in ran.said
    assert JournalView.read(ran.folder / "journal.jsonl").has("call-queued"), "people hear of it"


class TestWhatASandboxBeginsWith:
    @pytest.fixture
    def world(self, new_world: World) -> World:
        return new_world

    def test_a_deployment_that_never_came_up_does_not_cost_the_revision_that_serves(
        self, run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
    ) -> None:
        """The sandbox starts with a newest revision that failed to start; the one before serves on, and well."""
        note = world.note()
        file = production(('deployed_within = "2h"', 'deployed_within = "30d"'))
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
        assert ran.code == 1, ran.said
        assert [one.id for one in ran.verdict.criteria if one.verdict == "fail"] == ["serving_the_deployed_revision"]
        assert ran.verdict.rollback.outcome == "not needed"
        assert world.answering() == {note["current"]}


def test_failures_of_another_revision_than_the_deployed_one_move_nothing(run: Runner, world: World) -> None:
    note = world.release("login-broken")
    ran = run("-m", "smoke", "--env", "sandbox", "--revision", note["previous"], variables=world.variables)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.triggers == ("login",)
    assert ran.verdict.rollback.outcome == "withheld"
    assert f"{note['previous']} was deployed, but {note['current']} serves" in ran.verdict.rollback.reason
    assert world.answering() == {note["current"]}


def test_a_certificate_that_is_not_trusted_fails_and_rolls_nothing_back(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    """All questions meet it, not only the one about the certificate; no revision brings another one."""
    note = world.release()
    behind_tls = world.document["environments"]["production"]["tls_url"]
    file = production((f'url = "{world.url}"', f'url = "{behind_tls}"'))  # without the sandbox's own authority
    variables = {**account, "PREVIOUS_REVISION": note["previous"]}
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
    assert ran.code == 1, ran.said
    assert ran.of("basic_health") == "fail"
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {note["current"]}
