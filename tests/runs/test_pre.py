"""The phase before a deployment: every gate in one run, side by side, and nothing is moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import program, ready
from tests.runs.conftest import SHIPPED, Runner, World, without_the_code

GATES = {
    "test_suite_passes",
    "coverage_meets_minimum",
    "quality_checks_pass",
    "no_placeholder_code",
    "staging_soaked",
    "staging_runs_release_candidate",
    "staging_deep_health",
    "inside_deployment_window",
    "changelog_covers_release",
    "breaking_changes_are_declared",
    "production_is_healthy",
    "rollback_plan_is_ready",
    "rollback_is_permitted",
    "rollout_sources_answer",
    "traffic_is_not_pinned",
    "migrations_have_no_destructive_operations",
    "migrations_are_idempotent",
    "migrations_can_be_rolled_back",
    "migrations_are_backward_compatible",
    "login[staging]",
}


@pytest.fixture
def world(new_world: World) -> World:
    """Gates ask what was deployed before: here, what a sandbox begins with."""
    return new_world


@pytest.fixture(scope="module")
def asked() -> Iterator[World]:
    """A sandbox in which nothing is ever deployed, for all gates that are only asked."""
    with program() as process:
        yield World(ready(process))


class TestWhereNothingIsDeployed:
    @pytest.fixture
    def world(self, asked: World) -> World:
        asked.break_()
        return asked

    def test_production_asks_only_what_is_productions(
        self, run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
    ) -> None:
        ran = run("-m", "pre", "--env", "production", f"--deployment={production()}", variables=account)
        asked = {one.id for one in ran.verdict.criteria}
        assert {"production_is_healthy", "rollback_is_permitted"} <= asked
        assert not asked & {"staging_soaked", "login", "login[staging]"}
        # The checkout that the shipped file names is not there: unknown, and so neither good nor bad.
        assert ran.of("test_suite_passes") == ran.of("changelog_covers_release") == "inconclusive"
        assert ran.of("production_is_healthy") == "pass"

    @pytest.mark.parametrize(
        ("fault", "unknown"),
        [  # two or three at a time: no gate asks two of the same line
            (
                "sentry-down,slack-down",
                {"staging_error_rate", "staging_has_no_new_error_types", "team_is_notified", "rollout_sources_answer"},
            ),
            (
                "sentry-empty,monitoring-down,logging-down,github-down",
                {
                    *("staging_error_rate", "staging_has_no_new_error_types"),
                    *("production_is_healthy", "no_open_critical_incidents", "rollout_sources_answer"),
                },
            ),
        ],
    )
    def test_an_observer_that_is_down_leaves_its_gate_unknown_and_the_others_known(
        self, fault: str, unknown: set[str], run: Runner, world: World
    ) -> None:
        ran = run("-m", "pre", "--env", "sandbox", "--fault", fault, _without_the_code(run), variables=world.variables)
        assert ran.code == 75, ran.said
        assert {one.id for one in ran.verdict.criteria if one.verdict == "inconclusive"} == unknown
        assert {one.id for one in ran.verdict.criteria if one.verdict == "fail"} == set()

    def test_a_smoke_password_that_was_changed_is_found_before_it_looks_like_a_broken_release(
        self, run: Runner, production: Callable[..., Path], account: dict[str, str]
    ) -> None:
        changed = {**account, "SMOKE_USER_PASSWORD": "the-one-before"}
        ran = run("-m", "pre", "--env", "production", f"--deployment={production()}", variables=changed)
        assert ran.of("rollout_sources_answer") == "fail"
        assert "the smoke account cannot log in: 401" in ran.said
        assert "the-one-before" not in ran.said + ran.report

    def test_a_mistake_in_the_settings_is_found_before_and_never_blamed_on_the_release(
        self, run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
    ) -> None:
        file = production(('path = "/health"', 'path = "/healthz"'), ('policy = "manual"', 'policy = "automatic"'))
        ran = run("-m", "pre", "--env", "production", f"--deployment={file}", variables=account)
        assert ran.of("production_is_healthy") == "fail"
        assert "basic_health fails before anything is deployed" in ran.said
        note = world.release()
        world.break_("rollback-fails")  # no tag can be set either, so nobody can ask the revision from before
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
        assert ran.code == 1, ran.said
        assert ran.verdict.rollback.guard == "failed_before_the_deployment"
        assert world.answering() == {note["current"]}


def test_every_gate_answers_with_its_evidence(run: Runner) -> None:
    deployment = f"--deployment={_with_a_private_backup(run)}"
    ran = run("-m", "pre", "--env", "sandbox", "--profile", "migration", deployment, "-W", "error")
    assert ran.code == 0, ran.said
    assert {one.id for one in ran.verdict.criteria} >= GATES | {"backup_is_restorable"}
    assert all(one.measurements for one in ran.verdict.criteria), "every verdict shows its evidence"
    assert ran.verdict.rollback.outcome == "not needed"
    assert (ran.folder / "tests.log").exists(), "the output of the service's tests is kept beside the report"
    assert re.search(r"a href=\S{1,12}tests\.log", ran.report)
    healthy = next(one for one in ran.verdict.criteria if one.id == "production_is_healthy")
    normal = {one.name: one.value for one in healthy.measurements}
    assert 500 < float(normal["requests a minute"] or 0) < 700
    assert (run.output / "baseline-sandbox.json").exists(), "what is normal is kept for the watch"


def test_a_pinned_traffic_is_found_before_the_deployment_not_after_it(run: Runner, world: World) -> None:
    first = run("-m", "smoke", "--env", "sandbox", "--fault", "login-broken", variables=world.variables)
    assert first.verdict.rollback.outcome == "done", first.said
    ran = run("-m", "pre", "--env", "sandbox", _without_the_code(run), variables=world.variables)
    assert ran.code == 1, ran.said
    assert ran.of("traffic_is_not_pinned") == "fail"
    assert ran.verdict.rollback.outcome == "not needed", "nothing was deployed: nothing is rolled back"
    assert world.answering() == {first.verdict.rollback.to_revision}


def _with_a_private_backup(run: Runner) -> Path:
    text = Path("deployment.toml").read_text(encoding="utf-8")
    file = run.folder / "deployment.toml"
    file.write_text(text.replace('"reports/output/backup"', f'"{run.folder / "backup"}"'), encoding="utf-8")
    return file


def _without_the_code(run: Runner) -> str:
    file = run.folder / "deployment.toml"
    file.write_text(without_the_code(SHIPPED), encoding="utf-8")
    return f"--deployment={file}"


def test_a_new_error_type_on_staging_closes_the_gate(run: Runner) -> None:
    ran = run("-m", "pre", "--env", "sandbox", "--fault", "new-error-type", _without_the_code(run))
    assert ran.code == 1, ran.said
    assert ran.of("staging_has_no_new_error_types") == "fail"
    assert "WatchProgressLostError" in ran.said


def test_a_hotfix_does_without_soak_and_window_and_the_team_is_told_once(run: Runner, world: World) -> None:
    said = []
    for _ in range(2):
        options = ("--profile", "hotfix", _without_the_code(run))
        ran = run("-m", "pre", "--env", "sandbox", *options, variables=world.variables)
        assert ran.code == 0, ran.said
        team = next(one for one in ran.verdict.criteria if one.id == "team_is_notified")
        said.append(team.measurements[0].value)
    assert said == ["posted", "posted before"]
    asked = {one.id for one in ran.verdict.criteria}
    assert not asked & {"staging_soaked", "inside_deployment_window"}
    assert "login[staging]" in asked, "smoke on staging is still required"
