"""The phase before a deployment beside its slowest question: it should last as long as that, not as long as all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import BaseModel

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import ROOT, pytest, run

_SLOW = 10  # seconds: what a service's quality checks might take
_SHIPPED = 'quality = { checks = "{python} -m compileall -q -f app tests migrations" }'
_SLOWED = f"""quality = {{ checks = "{{python}} -c 'import time; time.sleep({_SLOW})'" }}"""


class _Criterion(BaseModel):
    id: str
    seconds: float


class _VerdictFile(BaseModel):
    criteria: list[_Criterion]


@dataclass(frozen=True, slots=True)
class _Phase:
    wall: float
    criteria: list[_Criterion]

    @property
    def slowest(self) -> _Criterion:
        return max(self.criteria, key=lambda one: one.seconds)


def measure(*, quick: bool) -> list[Figure]:
    """Wall time of whole processes: as shipped, and with one question that takes ten seconds."""
    _phase(slow=False)  # the first run writes bytecode
    figures = []
    for slow in (False, True):
        phases = [_phase(slow=slow) for _ in range(1 if quick else 3)]
        phase = sorted(phases, key=lambda one: one.wall)[len(phases) // 2]
        name = f"pre phase, one question takes {_SLOW} s" if slow else "pre phase, as shipped"
        slowest, total = phase.slowest, sum(one.seconds for one in phase.criteria)
        note = (
            f"{len(phase.criteria)} criteria; {phase.wall - slowest.seconds:.1f} s more than {slowest.id} "
            f"({slowest.seconds:.1f} s); all in a row: {total:.0f} s and the start"
        )
        figures.append(Figure(name, median(one.wall for one in phases), None, "s", note))
    return figures


def _phase(*, slow: bool) -> _Phase:
    text = (ROOT / "deployment.toml").read_text(encoding="utf-8")
    if _SHIPPED not in text:
        raise BenchmarkError(f"deployment.toml has no {_SHIPPED!r} to slow down")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "deployment.toml"
        file.write_text(text.replace(_SHIPPED, _SLOWED) if slow else text, encoding="utf-8")
        arguments = ("-m", "pre", "--env", "sandbox", f"--deployment={file}", f"--output={folder / 'output'}")
        process = run(pytest(*arguments)).must_be(0)
        verdict = folder / "output" / "latest" / "verdict.json"
        read = _VerdictFile.model_validate_json(verdict.read_text(encoding="utf-8"))
    return _Phase(process.wall, read.criteria)
