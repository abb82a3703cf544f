"""The drills of docs/game-days.md, "who is to blame": each row has a command that exists, and comes to what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.blame.__main__ import parser
from benchmarks.blame.cases import Row
from benchmarks.blame.world import World
from benchmarks.programs import pytest as pytest_command
from benchmarks.programs import run, sandbox
from reports.verdict_file import VerdictFile
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "game-days.md").read_text(encoding="utf-8")
CODES = {"GO": 0, "NO-GO": 1, "UNKNOWN": 75}
OUTCOMES = {"withheld": "withheld", "rolled back": "done", "nothing moves": "not needed", "the only one": "not needed"}
ELSEWHERE = {  # played by tests/runs
    *("blip", "blip-502", "blip-broken-off"),
    *("waf", "iam-refused", "no-available-instance"),
}


@dataclass(frozen=True)
class Drill:
    """One row of the table."""

    what: str
    commands: tuple[str, ...]
    outcome: str

    @property
    def faults(self) -> tuple[str, ...]:
        """The fault of its command, and the others that it names."""
        words = shlex.split(self.commands[0])
        return (words[-1], *self.commands[1:]) if "--fault" in words else ()

    @property
    def row(self) -> str:
        """The row of the benchmark that it plays; else nothing."""
        words = shlex.split(self.commands[0])
        return "" if self.faults else parser().parse_args(words[3:]).row


def drills() -> list[Drill]:
    table = PAGE.partition("## Drills: who is to blame")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return [Drill(what, tuple(re.findall("`([^`]+)`", command)), outcome) for what, command, outcome in rows]


def played() -> list[tuple[str, str]]:
    return [(fault, drill.outcome) for drill in drills() for fault in drill.faults if fault not in ELSEWHERE]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with sandbox("--users-rpm", "120") as running:
        yield World(running)


def test_each_row_of_the_benchmark_is_a_drill() -> None:
    answers = {Row.ANSWER_500, Row.ANSWER_502, Row.ANSWER_RESET, Row.ANSWER_LATE}  # blips, as faults
    by_fault = {row for row in Row if any(row in drill.faults for drill in drills())}
    assert {drill.row for drill in drills() if drill.row} == {*Row} - answers - by_fault
    assert {fault for drill in drills() for fault in drill.faults} >= {
        "blip",
        "blip-502",
        "blip-broken-off",
        "blip-slow",
    }


def test_what_is_played_elsewhere_is_a_drill_here() -> None:
    assert {fault for drill in drills() for fault in drill.faults} > ELSEWHERE
    assert len(played()) == 5


@pytest.mark.parametrize(("fault", "outcome"), played())
def test_a_drill_comes_to_what_the_page_says(fault: str, outcome: str, world: World, tmp_path: Path) -> None:
    world.put_right()
    words = ("-m", "smoke", "--env", "sandbox", "--fault", fault, "-p", "no:cacheprovider", f"--output={tmp_path}")
    ended = run(pytest_command(*words), variables={"SANDBOX": world.there.operator})
    assert ended.code == next(code for word, code in CODES.items() if outcome.startswith(word)), ended.output
    verdict = VerdictFile.model_validate_json((tmp_path / "latest" / "verdict.json").read_text(encoding="utf-8"))
    (expected,) = (meant for words, meant in OUTCOMES.items() if words in outcome)
    assert verdict.rollback.outcome == expected, ended.output
    if expected == "withheld":
        assert verdict.rollback.guard == "previous_no_better", ended.output
    world.sandbox.plant(())
    assert world.tags() == set()
