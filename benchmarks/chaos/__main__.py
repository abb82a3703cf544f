"""Runs that are killed, interrupted and starved at random instants, while Cloud Run fails in every way: what is left?

Seeded, so that a case can be played again: `python -m benchmarks.chaos --seed 1 --runs 300`, `--only 17`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

from benchmarks.chaos.arena import HARMS, play_all
from benchmarks.chaos.cases import matrix
from verification.deadline import Stopwatch


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
    harms: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    watch = Stopwatch.start()
    for result in play_all(cases, min(options.lanes, len(cases))):
        harms.update(result.harms)
        endings[result.ending] += 1
        print(f"{result.case}: {result.ending} {'; '.join(result.harms).upper()}", flush=True)
        if result.harms or options.only is not None:
            print(result.said, flush=True)
    print(f"\n{len(cases)} runs, seed {options.seed}, {watch.seconds:.0f} s")
    for name in HARMS:
        print(f"{harms[name]:5}  {name}")
    for ending, count in endings.most_common():
        print(f"{count:5}  {ending}")
    return int(bool(harms))


if __name__ == "__main__":
    sys.exit(main())
