"""Runs that are killed, interrupted and starved at random instants, while Cloud Run fails in every way: what is left?

Seeded, so that a case can be played again: `python -m benchmarks.chaos --seed 1 --runs 300`, `--only 17`.
"""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks.chaos.arena import HARMS, play_all
from benchmarks.chaos.cases import matrix
from benchmarks.matrix import tell


def main() -> int:
    """Exit codes: 0 no harm was done, 1 some was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lanes",
        type=int,
        default=2 * (os.cpu_count() or 1),
        help="sandboxes side by side; a killed run waits more than it computes",
    )
    parser.add_argument("--quick", action="store_true", help="without watches and what else takes long")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one case of the matrix, with all that it said")
    options = parser.parse_args()
    cases = matrix(options.seed, options.runs, quick=options.quick)
    if options.only is not None:
        cases = [cases[options.only]]
    results = play_all(cases, min(options.lanes, len(cases)))
    return tell(results, HARMS, options.seed, all_said=options.only is not None)


if __name__ == "__main__":
    sys.exit(main())
