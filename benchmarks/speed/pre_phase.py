"""The phase before a deployment beside its slowest question: it should last as long as that, not as long as all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import ROOT, PhaseRun, run_phase

_SLOW = 10  # seconds: what a service's quality checks might take
_SHIPPED = 'quality = { checks = "{python} -m compileall -q -f app tests migrations" }'
_SLOWED = f"""quality = {{ checks = "{{python}} -c 'import time; time.sleep({_SLOW})'" }}"""


def measure(*, quick: bool) -> list[Figure]:
    """Wall time of whole processes: as shipped, and with one question that takes ten seconds."""
    _phase(slow=False)  # the first run writes bytecode
    figures = []
    for slow in (False, True):
        runs = [_phase(slow=slow) for _ in range(1 if quick else 3)]
        median = sorted(runs, key=lambda phase: phase.process.wall)[len(runs) // 2]
        name = f"pre phase, one question takes {_SLOW} s" if slow else "pre phase, as shipped"
        wall, criteria = median.process.wall, median.record.criteria
        slowest, total = max(criteria, key=lambda result: result.seconds), sum(result.seconds for result in criteria)
        note = (
            f"{len(criteria)} criteria; {wall - slowest.seconds:.1f} s more than {slowest.id} "
            f"({slowest.seconds:.1f} s); all in a row: {total:.0f} s and the start"
        )
        figures.append(Figure(name, wall, None, "s", note))
    return figures


def _phase(*, slow: bool) -> PhaseRun:
    text = (ROOT / "deployment.toml").read_text(encoding="utf-8")
    if _SHIPPED not in text:
        raise BenchmarkError(f"deployment.toml has no {_SHIPPED!r} to slow down")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "deployment.toml"
        file.write_text(text.replace(_SHIPPED, _SLOWED) if slow else text, encoding="utf-8")
        return run_phase("pre", "sandbox", Path(name) / "output", f"--deployment={file}")
