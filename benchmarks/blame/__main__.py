"""Does production move only where this release is at fault, and going back helps? Whole runs that something misleads.

A healthy or a bad release, one row of what misled the suite once, the runner's record or none, and a revision from
before that can be asked or not. Seeded, so that a case can be played again: `python -m benchmarks.blame --seed 1 --runs
300`, `--only 17`; `--row hotfix` plays one row, a healthy release and a bad one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.blame.arena import HARMS, play_all
from benchmarks.blame.cases import Case, Row, matrix
from benchmarks.matrix import tell


def chosen(cases: Sequence[Case], only: int | None, row: str | None) -> list[Case]:
    """One case, or of a row a healthy release and a bad one."""
    if only is not None:
        return [cases[only]]
    if row is None:
        return list(cases)
    of_row = [case for case in cases if case.row == row]
    return [next(case for case in of_row if case.bad is bad) for bad in (False, True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 no harm was done, 1 some was."""
    options = parser().parse_args(arguments)
    cases = chosen(matrix(options.seed, options.runs, quick=options.quick), options.only, options.row)
    results = play_all(cases, min(options.lanes, len(cases)))
    return tell(results, HARMS, options.seed, all_said=options.only is not None or options.row is not None)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.blame", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--runs", type=int, default=300)
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--lanes", type=int, default=2, help="sandboxes side by side")
    found.add_argument("--quick", action="store_true", help="without watches and what else takes long")
    one = found.add_mutually_exclusive_group()
    one.add_argument("--only", type=int, metavar="NUMBER", help="one case of the matrix, with all that it said")
    one.add_argument("--row", choices=list(Row), help="one row: a healthy release and a bad one, with all they said")
    return found


if __name__ == "__main__":
    sys.exit(main())
