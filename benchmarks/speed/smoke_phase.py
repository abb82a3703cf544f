"""The smoke phase beside its slowest chain of questions, and beside the same questions asked in a row by curl."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from pathlib import Path

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import Ended, run, run_phase
from benchmarks.speed.stand_in import ITEMS, VARIABLES, running_stand_in

_DELAYS = (0.05, 0.5, 2.0)
# The listing, then the media that it names. The media do not depend on each other, so however many: two answers deep.
_CHAIN = 2


def measure(*, quick: bool) -> list[Figure]:
    """For each delay: the median wall time of the whole process, against 1.25 times the slowest chain and 1.5 s."""
    _phase(_DELAYS[0])  # the first run writes bytecode
    runs = 1 if quick else 3
    return [figure for delay in (_DELAYS[:2] if quick else _DELAYS) for figure in _at(delay, runs)]


def _at(delay: float, runs: int) -> list[Figure]:
    chain = _CHAIN * delay
    phases = sorted((_phase(delay) for _ in range(runs)), key=lambda phase: phase[0].wall)
    process, questions = phases[runs // 2]
    walls = ", ".join(f"{ended.wall:.2f}" for ended, _ in phases)
    note = f"whole process, median of {walls}; slowest chain {chain:g} s"
    name = f"smoke phase, answers take {delay * 1000:g} ms"
    figures = [Figure(name, process.wall, 1.25 * chain + 1.5, "s", note)]
    if not shutil.which("curl"):
        return figures
    with running_stand_in(delay) as service:
        curl = run(["sh", "-ec", _script(service.url)]).must_be(0)
        asked = len(service.questions)
    if asked != questions:
        raise BenchmarkError(f"the suite put {questions} questions, the curl script {asked}: nothing to compare")
    note = f"the same {asked} questions in a row; the suite takes {process.wall / curl.wall:.2f} of that"
    return [*figures, Figure("- by a sequential curl script", curl.wall, None, "s", note)]


def _phase(delay: float) -> tuple[Ended, int]:
    """One run of the phase, and how many questions it put."""
    with tempfile.TemporaryDirectory() as name, running_stand_in(delay) as service:
        file = service.write_deployment(Path(name))
        output = Path(name) / "output"
        phase = run_phase("smoke", "bench", output, f"--deployment={file}", variables=VARIABLES)
        return phase.process, len(service.questions)


def _script(url: str) -> str:
    """Ask what the smoke phase asks, one after the other, as a script in a CI job would."""
    paths = ["/health", "/health/ready", "/health/deep", "/content", "/search?q=test"]
    lines = [f"curl -sSf {shlex.quote(url + path)} -o /dev/null" for path in paths]
    lines += [_login(url, VARIABLES["SMOKE_USER_PASSWORD"]), _login(url, "wrong")]
    lines += [f"curl -sSf -r 0-1023 {url}/media/{number}.mp4 -o /dev/null" for number in range(ITEMS)]
    return "\n".join(lines)


def _login(url: str, password: str) -> str:
    body = json.dumps({"email": VARIABLES["SMOKE_USER_EMAIL"], "password": password})
    return f"curl -sS -H 'Content-Type: application/json' -d {shlex.quote(body)} {url}/login -o /dev/null"
