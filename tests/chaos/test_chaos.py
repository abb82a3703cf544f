"""Thirty runs that are killed, interrupted and starved while Cloud Run fails; `python -m benchmarks.chaos` plays more."""

from __future__ import annotations

from collections import Counter

from benchmarks.chaos import HARMS, play_all
from benchmarks.chaos_cases import matrix

RUNS = 30
LANES = 2  # beside all the other tests


def test_no_bad_release_is_left_alone_and_no_healthy_one_is_harmed() -> None:
    seen = list(play_all(matrix(1, RUNS, quick=True), LANES))
    harms = Counter(harm for one in seen for harm in one.harms)
    print(*(f"{harms[name]:3}  {name}" for name in HARMS), sep="\n")
    print(*Counter(one.ending for one in seen).most_common(), sep="\n")
    assert [f"{one.case}: {one.harms}\n{one.said}" for one in seen if one.harms] == []
    assert len(seen) == RUNS
    assert any("rolled back, ended by the supervisor" in one.ending for one in seen), "else it proves little"


def test_a_case_can_be_played_again() -> None:
    assert matrix(7, 300) == matrix(7, 300)
    assert {one.blow for one in matrix(7, 300)} > {one.blow for one in matrix(7, 300, quick=True)}
    assert {one.phase for one in matrix(7, 300)} == {"smoke", "monitor"}
