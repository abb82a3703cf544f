"""Which criteria a run asks, in which order, and that it never hides what it left out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import fork_server
from verification.criteria.criterion import declared, not_collected
from verification.settings.model import Settings
from verification.settings.service import ServiceInfo, Target

CRITERIA = """
import pytest

from verification.probe import probe


@probe
def second(service): return 2


@pytest.mark.followup
def test_last(): pass


@pytest.mark.smoke
def test_first(second): assert second == 2


@pytest.mark.smoke
@pytest.mark.needs("flows.search")
def test_not_there(search): pass


@pytest.mark.pre
def test_before(): pass
"""


@dataclass(frozen=True)
class Team:
    """A team's folder with criteria of its own, and no service at all."""

    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One run against it."""
        common = ["--env=production", f"--deployment={self.folder}/deployment.toml", f"--output={self.folder}/output"]
        command = [sys.executable, "-m", "pytest", *common, "-p", "no:cacheprovider", *arguments]
        return fork_server.run(command, timeout=60)

    def verdict(self) -> dict[str, object]:
        """The one run's verdict.json."""
        (file,) = (one for one in (self.folder / "output").glob("*/verdict.json") if not one.parent.is_symlink())
        document: dict[str, object] = json.loads(file.read_text())
        return document


@pytest.fixture
def team(tmp_path: Path) -> Team:
    (tmp_path / "criteria").mkdir()
    (tmp_path / "criteria" / "test_team.py").write_text(CRITERIA)
    (tmp_path / "deployment.toml").write_text(
        '[service]\nname = "a"\n[environments.production]\nroles = ["production"]\nurl = "http://127.0.0.1:9"\n'
        '[criteria]\npaths = ["criteria"]\n'
    )
    return Team(tmp_path)


def test_phases_run_in_their_order_and_what_is_not_configured_is_left_out_by_name(team: Team) -> None:
    done = team.run("-m", "followup or smoke")
    verdict = team.verdict()
    criteria = verdict["criteria"]
    assert isinstance(criteria, list)
    assert [one["id"] for one in criteria] == ["first", "last"], done.stdout
    assert verdict["phases"] == ["smoke", "followup"]
    assert (verdict["verdict"], done.returncode) == ("pass", 0)
    assert "flows.search" in done.stdout + json.dumps(verdict)


def test_a_run_that_leaves_something_out_is_at_best_inconclusive_even_if_it_is_a_whole_phase(team: Team) -> None:
    done = team.run("-m", "smoke or followup", "-k", "not last")
    verdict = team.verdict()
    assert (verdict["verdict"], done.returncode) == ("inconclusive", 75), done.stdout
    assert (verdict["criteria_selected"], verdict["criteria_in_phase"]) == (1, 2)


def test_a_phase_that_was_not_asked_for_is_not_missed(team: Team) -> None:
    done = team.run("-m", "not (pre or followup)")
    assert (team.verdict()["verdict"], done.returncode) == ("pass", 0), done.stdout


def test_what_is_asked_before_a_deployment_is_not_asked_with_what_is_asked_after_it(team: Team) -> None:
    done = team.run()
    assert done.returncode == 4
    assert "the deployment lies between pre and the other phases" in done.stderr


def test_a_criterion_without_a_phase_would_never_run_and_is_refused(team: Team) -> None:
    (team.folder / "criteria" / "test_lost.py").write_text("def test_lost(): pass\n")
    done = team.run("-m", "smoke")
    said = done.stdout + done.stderr
    assert done.returncode == 4
    assert "test_lost carries no phase" in said
    assert "Traceback" not in said
    assert team.verdict()["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("option", "shown"),
    [("--collect-only", "test_first"), ("--fixtures", "deployed_revision"), ("--fixtures-per-test", "test_first")],
)
def test_looking_at_the_criteria_writes_nothing_and_asks_nobody(option: str, shown: str, team: Team) -> None:
    done = team.run(option, "-q", "-m", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown in done.stdout
    assert not (team.folder / "output").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-n", "2"], "take out -n"),
        (["-p", "no:html"], "take out -p no:html"),
        (["-p", "no:junitxml"], "take out -p no:junitxml"),
    ],
    ids=["several processes", "no page", "no xml"],
)
def test_what_no_phase_can_be_run_with_is_refused_before_anything_is_asked(
    options: list[str], words: str, team: Team
) -> None:
    done = team.run("-m", "pre", *options)
    assert done.returncode == 4, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (team.folder / "output").exists()


def settings() -> Settings:
    return Settings(
        environment="production",
        roles=["production"],
        service=ServiceInfo(name="a"),
        targets={"production": Target(url="http://127.0.0.1:9")},
    )


def test_declared_criteria_are_known_without_being_imported(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import no_such_module\nimport pytest\npytestmark = [pytest.mark.smoke, pytest.mark.needs('cloud_run')]\n"
        "@pytest.mark.needs('flows.login')\ndef test_one(): pass\ndef helper(): pass\n"
    )
    (tmp_path / "test_broken.py").write_text("def (:")
    (tmp_path / "test_binary.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "other.py").write_text("import pytest\n@pytest.mark.smoke\ndef test_not_collected(): pass\n")
    (found,) = declared([tmp_path])
    assert (found.name, found.phases, found.needs) == (
        "test_one",
        frozenset({"smoke"}),
        frozenset({"cloud_run", "flows.login"}),
    )


def test_a_criterion_that_the_environment_does_not_have_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\n@pytest.mark.smoke\ndef test_one(): pass\n"
        "@pytest.mark.smoke\n@pytest.mark.needs('flows.login')\ndef test_two(): pass\n"
    )
    assert [one.name for one in not_collected([], [tmp_path], settings())] == ["test_one"]
