"""Thirty runs that are killed, interrupted and starved while Cloud Run fails; `python -m benchmarks.chaos` plays more."""

from __future__ import annotations

from collections import Counter

from benchmarks.chaos.arena import HARMS, play_all
from benchmarks.chaos.cases import matrix
from tests import fork_server

RUNS = 30
LANES = 2  # beside all the other tests


def test_no_bad_release_is_left_alone_and_no_healthy_one_is_harmed() -> None:
    results = list(play_all(matrix(1, RUNS, quick=True), LANES, fork_server.Popen))
    harms = Counter(harm for result in results for harm in result.harms)
    print(*(f"{harms[name]:3}  {name}" for name in HARMS), sep="\n")
    print(*Counter(result.ending for result in results).most_common(), sep="\n")
    assert [f"{result.case}: {result.harms}\n{result.said}" for result in results if result.harms] == []
    assert len(results) == RUNS
    assert any("rolled back, ended by the supervisor" in result.ending for result in results), "else it proves little"


def test_a_case_can_be_played_again() -> None:
    assert matrix(7, 300) == matrix(7, 300)
    assert {case.blow for case in matrix(7, 300)} > {case.blow for case in matrix(7, 300, quick=True)}
    assert {case.phase for case in matrix(7, 300)} == {"smoke", "monitor"}
