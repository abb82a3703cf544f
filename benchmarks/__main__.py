"""`python -m benchmarks [NAME...]`: measure, print one table, and end with 1 when a figure is over its limit."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from benchmarks.figure import BenchmarkError, Figure, figure_table
from benchmarks.judge import comparison, confirmation
from benchmarks.recovery import monitor
from benchmarks.recovery import smoke as recovery
from benchmarks.speed import collect, pre_phase, report, sandbox_start, smoke_phase
from verification.errors import VerificationError

_MEASURES: dict[str, Callable[..., list[Figure]]] = {
    "sandbox-start": sandbox_start.measure,
    "collect": collect.measure,
    "smoke-phase": smoke_phase.measure,
    "pre-phase": pre_phase.measure,
    "recovery": recovery.measure,
    "monitor": monitor.measure,
    "judge": comparison.measure,
    "confirmation": confirmation.measure,
    "report": report.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all within their limits, 1 one is over, 2 wrong arguments, 3 something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(_MEASURES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer runs, and not the slowest cases")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in _MEASURES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are: {', '.join(_MEASURES)}")
    figures: list[Figure] = []
    broken = False
    for name in options.names or _MEASURES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            figures += _MEASURES[name](quick=options.quick)
        except (BenchmarkError, VerificationError) as error:
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            broken = True
    load, processors = os.getloadavg()[0], os.cpu_count()
    print(f"{processors} processors, load {load:.1f}; whole processes, bytecode cached\n\n{figure_table(figures)}")
    return 3 if broken else int(any(figure.over for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
