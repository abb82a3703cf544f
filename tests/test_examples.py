"""The examples that a team copies: they are YAML, and every command of ours in them is one that exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import rollback.__main__ as by_hand
from tests.conftest import ROOT
from verification.records.run_record import PHASES
from verification.settings.loading import environments

WORKFLOW = ROOT / ".github" / "workflows" / "deploy-verified.yml"
CLOUD_DEPLOY = ROOT / "docs" / "cloud-deploy"


def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def steps() -> Iterator[dict[str, Any]]:
    for job in workflow()["jobs"].values():
        yield from job["steps"]


def commands() -> list[list[str]]:
    """Every command line of this suite's in the examples."""
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    ours = [shlex.split(line) for line in lines if re.match(r"\.venv/bin/(pytest|python -m)", line)]
    skaffold = yaml.safe_load((CLOUD_DEPLOY / "skaffold.yaml").read_text(encoding="utf-8"))
    ours += [[*one["container"]["command"], *one["container"]["args"]] for one in skaffold["verify"]]
    return [[words[0].rpartition("/")[2], *words[1:]] for words in ours]


def test_the_commands_are_found_at_all() -> None:
    assert [words[0] for words in commands()] == ["pytest", "pytest", "pytest", "python", "pytest"]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_exists(words: list[str], pytestconfig: pytest.Config) -> None:
    known = environments(ROOT / "deployment.toml")
    if words[0] == "python":
        assert words[1:3] == ["-m", "rollback"]
        assert by_hand._parser().parse_intermixed_args(words[3:]).environment in known  # noqa: SLF001
        return
    options, unknown = pytestconfig._parser.parse_known_and_unknown_args(words[1:])  # noqa: SLF001
    assert unknown == []
    assert options.env in known
    assert set(re.findall(r"\w+", options.markexpr)) - {"or"} <= set(PHASES)


def test_the_workflow_takes_what_the_rollback_sends() -> None:
    # YAML 1.1 reads `on` as true.
    assert set(workflow()[True]["workflow_dispatch"]["inputs"]) >= {"rollback_revision", "staging_verification"}


def test_whatever_happens_the_rest_is_done() -> None:
    always = [step["name"] for step in steps() if "always()" in str(step.get("if", ""))]
    assert len(always) == 4
    assert any("rollback resume" in step.get("run", "") and "always()" in step["if"] for step in steps())
    assert any("GITHUB_STEP_SUMMARY" in step.get("run", "") and "always()" in str(step.get("if")) for step in steps())


def test_inputs_from_outside_never_become_part_of_a_script() -> None:
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_cloud_deploy_verifies() -> None:
    pipeline, target = yaml.safe_load_all((CLOUD_DEPLOY / "clouddeploy.yaml").read_text(encoding="utf-8"))
    assert pipeline["serialPipeline"]["stages"][0]["strategy"]["standard"]["verify"] is True
    assert target["metadata"]["name"] == pipeline["serialPipeline"]["stages"][0]["targetId"]
