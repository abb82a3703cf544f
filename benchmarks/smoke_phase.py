"""The smoke phase beside its slowest chain of questions, and beside the same questions asked in a row by curl."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import Ended, pytest, run
from benchmarks.stand_in import ITEMS, VARIABLES, running

_DELAYS = (0.05, 0.5, 2.0)
# The listing, then the media that it names. The media do not depend on each other, so however many: two answers deep.
_CHAIN = 2


@dataclass(frozen=True, slots=True)
class _Phase:
    """One run of the phase: the process, how many questions it put, and seconds from the first to the last answer."""

    process: Ended
    questions: int
    span: float


def measure(*, quick: bool) -> list[Figure]:
    """For each delay: the median wall time of the whole process, against 1.25 times the slowest chain and 1.5 s."""
    _phase(_DELAYS[0])  # the first run writes bytecode
    runs = 1 if quick else 3
    return [figure for delay in (_DELAYS[:2] if quick else _DELAYS) for figure in _at(delay, runs)]


def _at(delay: float, runs: int) -> list[Figure]:
    chain = _CHAIN * delay
    answers = f"answers take {delay * 1000:g} ms"
    phases = sorted((_phase(delay) for _ in range(runs)), key=lambda one: one.process.wall)
    phase = phases[runs // 2]
    walls = ", ".join(f"{one.process.wall:.2f}" for one in phases)
    note = f"whole process, median of {walls}; slowest chain {chain:g} s, questions to answers {phase.span:.2f} s"
    figures = [Figure(f"smoke phase, {answers}", phase.process.wall, 1.25 * chain + 1.5, "s", note)]
    if not shutil.which("curl"):
        return figures
    with running(delay) as service:
        curl = run(["sh", "-ec", _script(service.url)]).must_be(0)
        asked = service.span.questions
    if asked != phase.questions:
        raise BenchmarkError(f"the suite put {phase.questions} questions, the curl script {asked}: nothing to compare")
    times = f"the same {asked} questions in a row; the suite takes {phase.process.wall / curl.wall:.2f} of that"
    return [*figures, Figure("- by a sequential curl script", curl.wall, None, "s", times)]


def _phase(delay: float) -> _Phase:
    with tempfile.TemporaryDirectory() as name, running(delay) as service:
        folder = Path(name)
        file = service.write_deployment(folder)
        # With "=": pytest takes a bare path after an option that it does not know yet for where its own settings are.
        arguments = ("-m", "smoke", "--env", "bench", f"--deployment={file}", f"--output={folder / 'output'}")
        process = run(pytest(*arguments), variables=VARIABLES).must_be(0)
    return _Phase(process, service.span.questions, service.span.seconds)


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
