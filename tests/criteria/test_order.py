"""Criteria run in the order in which their answers arrive, and as pytest's own loop runs them otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import fork_server

# Each slow probe waits for a file that a criterion writes, so the order below is the only one that comes to an end.
CRITERIA = """
import time
from pathlib import Path

import pytest

from verification.probe import probe

HERE = Path(__file__).parent


def wait_for(name):
    until = time.monotonic() + 20
    while not (HERE / name).exists():
        assert time.monotonic() < until, f"nobody wrote {name}"
        time.sleep(0.01)


@probe
def quick(): return 1


@probe
def after_the_quick_one():
    wait_for("quick-was-judged")
    return 2


@probe
def of_the_next_phase(): return 3


@pytest.fixture(scope="session")
def for_all():
    yield
    (HERE / "torn-down").touch()


@pytest.mark.smoke
def test_slow(after_the_quick_one, for_all):
    assert (HERE / "quick-was-judged").exists()
    assert not (HERE / "torn-down").exists()


@pytest.mark.smoke
def test_quick(quick, for_all):
    (HERE / "quick-was-judged").touch()
    assert BREAKS


@pytest.mark.followup
def test_followup(of_the_next_phase, for_all):
    assert (HERE / "quick-was-judged").exists()
    assert not (HERE / "torn-down").exists()
"""


def run(folder: Path, *arguments: str, breaks: bool = False) -> list[str]:
    """The ids of the criteria in the order in which they were judged."""
    (folder / "criteria").mkdir()
    (folder / "criteria" / "test_team.py").write_text(CRITERIA.replace("BREAKS", str(not breaks)))
    (folder / "deployment.toml").write_text(
        '[service]\nname = "a"\n[environments.production]\nroles = ["production"]\nurl = "http://127.0.0.1:9"\n'
        '[criteria]\npaths = ["criteria"]\n'
    )
    done = fork_server.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-p",
            "no:cacheprovider",
            "-m",
            "smoke or followup",
            "--env=production",
            f"--deployment={folder}/deployment.toml",
            f"--output={folder}/output",
            *arguments,
        ],
        timeout=60,
    )
    (verdict,) = (one for one in (folder / "output").glob("*/verdict.json") if not one.parent.is_symlink())
    assert json.loads(verdict.read_text())["exit_code"] == done.returncode
    ended = [line for line in done.stdout.splitlines() if "::test_" in line and ("PASSED" in line or "FAILED" in line)]
    assert (folder / "criteria" / "torn-down").exists()
    return [line.partition("::test_")[2].split()[0] for line in ended if "[" in line]


def test_what_is_known_first_is_judged_first_but_no_phase_overtakes_another(tmp_path: Path) -> None:
    assert run(tmp_path) == ["quick", "slow", "followup"]


@pytest.mark.parametrize("argument", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_run_where_that_is_asked_for(tmp_path: Path, argument: str) -> None:
    assert run(tmp_path, argument, breaks=True) == ["quick"]
