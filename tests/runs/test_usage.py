"""Bad input: one clear message, the right exit code, no traceback, and nothing touched."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.runs.conftest import SHIPPED, Runner, World


@pytest.fixture
def world(standing: World) -> World:
    """The shared sandbox as it is: what is refused asks nothing of it."""
    return standing


def refused(run: Runner, *arguments: str, **variables: str) -> str:
    ran = run(*arguments, variables=variables)
    assert ran.code == 4, ran.said
    assert "Traceback" not in ran.said
    return ran.said


def test_a_criterion_without_an_environment_lists_the_environments(run: Runner) -> None:
    said = refused(run, "-m", "smoke")
    assert "--env is missing" in said
    assert "staging, production, sandbox" in said


def test_an_unknown_environment_lists_the_environments(run: Runner) -> None:
    assert "It has: staging, production, sandbox" in refused(run, "-m", "smoke", "--env", "prod")


def test_a_fault_outside_the_sandbox_is_refused(run: Runner) -> None:
    said = refused(run, "-m", "smoke", "--env", "production", "--fault", "login-broken", GOOGLE_CLOUD_PROJECT="p")
    assert "--fault is for the sandbox only" in said


def test_an_unknown_fault_lists_the_faults(run: Runner, world: World) -> None:
    said = refused(run, "-m", "smoke", "--env", "sandbox", "--fault", "login-borken", **world.variables)
    assert "login-broken" in said
    assert "{" not in said.rpartition("ERROR:")[2], "a sentence, not the sandbox's own answer"


@pytest.mark.parametrize("nothing", ["", " , "])
def test_a_drill_without_a_fault_is_refused(nothing: str, run: Runner) -> None:
    assert "names no fault" in refused(run, "-m", "smoke", "--env", "sandbox", f"--fault={nothing}")


def test_an_unknown_phase_is_refused(run: Runner, world: World) -> None:
    before = world.requests()
    assert "smok" in refused(run, "-m", "smok", "--env", "sandbox", **world.variables)
    assert world.requests() == before, (
        "pytest still ends its collection with everything selected; nothing of it is asked"
    )


def test_outside_the_sandbox_a_run_is_of_before_or_of_after_the_deployment(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    world.put_right()
    note = world.release("login-broken")
    ran = run("--env", "production", f"--deployment={production()}", variables=account)
    assert ran.code == 4
    assert "the deployment lies between pre and the other phases" in ran.said
    assert world.answering() == {note["current"]}, "nothing was judged, so nothing is rolled back"


def test_a_missing_project_names_the_variable(run: Runner) -> None:
    assert "GOOGLE_CLOUD_PROJECT" in refused(run, "-m", "smoke", "--env", "production")


def test_a_missing_secret_names_the_variable_and_the_key(
    run: Runner, production: Callable[..., Path], account: dict[str, str]
) -> None:
    del account["SMOKE_USER_PASSWORD"]
    said = refused(run, "-m", "smoke", "--env", "production", f"--deployment={production()}", **account)
    assert "SMOKE_USER_PASSWORD" in said
    assert "flows.login.body.password" in said


def test_a_mistake_in_the_file_names_file_and_key(run: Runner, production: Callable[..., Path]) -> None:
    file = production(('timeout = "10s"', "timeout = 10"))
    said = refused(run, "-m", "smoke", "--env", "production", f"--deployment={file}")
    assert "deployment.toml: smoke.timeout: expected a duration" in said


def test_a_sandbox_that_is_not_there_says_how_to_start_one(run: Runner) -> None:
    said = refused(run, "-m", "smoke", "--env", "sandbox", SANDBOX="http://127.0.0.1:9")
    assert "python -m sandbox" in said


def test_a_sandbox_elsewhere_is_refused(run: Runner) -> None:
    assert "not on this machine" in refused(run, "-m", "smoke", "--env", "sandbox", SANDBOX="http://192.0.2.1:80")


def test_last_failed_is_refused_after_a_deployment(run: Runner, world: World) -> None:
    cache = f"cache_dir={run.folder / 'cache'}"  # what failed here before must not choose for this test
    said = refused(
        run, "-m", "smoke", "--env", "sandbox", "-p", "cacheprovider", "-o", cache, "--lf", **world.variables
    )
    assert "take out --lf" in said


def test_going_on_without_a_file_that_cannot_be_collected_is_refused_after_a_deployment(
    run: Runner, production: Callable[..., Path], criteria: Callable[[str], str], account: dict[str, str]
) -> None:
    """Else the others could pass, and nobody would know what that file asked."""
    file = production(more=criteria("this is no Python\n"))
    option = "--continue-on-collection-errors"
    said = refused(run, "-m", "smoke", "--env", "production", f"--deployment={file}", option, **account)
    assert f"take out {option}" in said


def test_a_criterion_without_a_phase_is_refused(
    run: Runner, production: Callable[..., Path], criteria: Callable[[str], str], account: dict[str, str]
) -> None:
    file = production(more=criteria("def test_forgotten():\n    pass\n"))
    said = refused(run, "-m", "smoke", "--env", "production", f"--deployment={file}", **account)
    assert "test_forgotten carries no phase" in said


@pytest.mark.parametrize("option", ["--fault=login-broken", "--no-rollback", "--dry-run"])
def test_options_of_a_run_need_an_environment(option: str, run: Runner) -> None:
    assert "needs --env" in refused(run, "tests/verification", option)


def test_an_output_folder_that_cannot_be_written_is_said_before_anything_runs(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(run, "-m", "smoke", "--env", "sandbox", f"--output={tmp_path / 'file' / 'below'}")
    assert "no report can be written" in said


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The variable by which Python finds the project's entry points, as it does after `make install`."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in each.items()) for group, each in points.items()
    ]
    told = tmp_path / "site" / "deployment_verification-0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: deployment-verification\nVersion: 0\n", encoding="utf-8"
    )
    (told / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), str(told.parent)]), "GOOGLE_CLOUD_PROJECT": "p"}


@pytest.mark.parametrize("option", ["--deployment", "--output", "--resume"])
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_path_elsewhere_after_a_space_says_what_to_write(
    option: str, relative: bool, run: Runner, tmp_path: Path, installed: dict[str, str]
) -> None:
    """pytest takes it for a path of tests, and never loads the conftest that declares the option."""
    elsewhere = tmp_path / "deployment.toml" if option == "--deployment" else tmp_path
    (tmp_path / "deployment.toml").write_text(SHIPPED, encoding="utf-8")
    path = os.path.relpath(elsewhere, ROOT) if relative else str(elsewhere)
    ran = run("-m", "smoke", "--env", "production", option, path, variables=installed)
    assert ran.code == 4
    assert f"write {option}={path}: " in ran.said


@pytest.mark.parametrize("joined", [True, False], ids=["with =", "with a space"])
def test_a_deployment_file_is_found(joined: bool, run: Runner, tmp_path: Path, installed: dict[str, str]) -> None:
    """With a space too, where pytest itself finds the project."""
    file = tmp_path / "deployment.toml"
    file.write_text(SHIPPED, encoding="utf-8")
    words = [f"--deployment={file}"] if joined else ["--deployment", str(file), "smoke"]
    ran = run("-m", "smoke", "--env", "production", "--collect-only", *words, variables=installed)
    assert ran.code == 0, ran.said


def test_the_installed_plugin_leaves_other_projects_alone(tmp_path: Path, installed: dict[str, str]) -> None:
    """Such as the service's own tests, which the same Python runs."""
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--deployment')\n")
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "--deployment", str(tmp_path / "test_own.py")]
    assert subprocess.run(command, cwd=tmp_path, env=os.environ | installed, timeout=60, check=False).returncode == 0
