"""Thirty runs that something misleads: a healthy release stays, a bad one goes; `python -m benchmarks.blame` plays more."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.blame.__main__ import chosen, parser
from benchmarks.blame.arena import HARMS, play_all
from benchmarks.blame.cases import ONLY_THE_CONTROL_TELLS, WATCHES, Control, Row, matrix
from tests import fork_server

RUNS = 30
LANES = 2  # beside all the other tests


def test_production_moves_only_where_the_release_is_at_fault_and_going_back_helps() -> None:
    cases = matrix(1, RUNS, quick=True)
    results = list(play_all(cases, LANES, fork_server.Popen))
    harms = Counter(harm for result in results for harm in result.harms)
    print(*(f"{harms[name]:3}  {name}" for name in HARMS), sep="\n")
    print(*Counter(result.ending for result in results).most_common(), sep="\n")
    assert [f"{result.case}: {result.harms}\n{result.said}" for result in results if result.harms] == []
    assert len(results) == RUNS
    assert any("bad: fail, rolled back, verified" in result.ending for result in results), "else it proves little"
    assert any("withheld (previous_no_better)" in result.ending for result in results), "the control was asked"


def test_a_case_can_be_played_again() -> None:
    assert matrix(7, 300) == matrix(7, 300)
    assert matrix(7, 30) == matrix(7, 300)[:30]
    assert {case.row for case in matrix(7, 300)} == set(Row)
    assert {case.row for case in matrix(7, 300, quick=True)} == set(Row) - WATCHES


def test_every_row_meets_both_releases_both_runners_and_both_controls() -> None:
    for row in Row:
        found = {(case.bad, case.kept, case.control.possible) for case in matrix(1, 300) if case.row is row}
        expected = {
            (bad, kept, control) for bad in (True, False) for kept in (True, False) for control in (True, False)
        }
        if row is Row.UNSEEN:
            expected = {one for one in expected if not one[2]}
        if row in ONLY_THE_CONTROL_TELLS:
            expected = {one for one in expected if one[0] or one[2]}
        assert found == expected, row
    assert {case.control for case in matrix(1, 300)} == set(Control)


@pytest.mark.parametrize("row", Row)
def test_a_row_is_played_with_a_healthy_release_and_a_bad_one(row: Row) -> None:
    options = parser().parse_args(["--row", row])
    cases = chosen(matrix(options.seed, options.runs), options.only, options.row)
    assert [(case.row, case.bad) for case in cases] == [(row, False), (row, True)]
