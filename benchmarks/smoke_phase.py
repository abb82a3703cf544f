"""The smoke phase beside its slowest chain of questions, and beside the same questions asked in a row by curl."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from pathlib import Path

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import Ended, pytest, run
from benchmarks.stand_in import ITEMS, PASSWORD, StandIn, running

_DELAYS = (0.05, 0.5, 2.0)
# The listing, then the media that it names. The media do not depend on each other, so however many: two answers deep.
_CHAIN = 2


def measure(*, quick: bool) -> list[Figure]:
    """For each delay: the wall time of the whole process, against 1.25 times the slowest chain and 1.5 s."""
    return [figure for delay in (_DELAYS[:2] if quick else _DELAYS) for figure in _at(delay)]


def _at(delay: float) -> list[Figure]:
    chain = _CHAIN * delay
    answers = f"answers take {delay * 1000:g} ms"
    with tempfile.TemporaryDirectory() as folder, running(delay) as service:
        phase = _phase(service, Path(folder))
        span = service.span
    note = f"whole process; slowest chain {chain:g} s, first question to last answer {span.seconds:.2f} s"
    figures = [Figure(f"smoke phase, {answers}", phase.wall, 1.25 * chain + 1.5, "s", note)]
    if not shutil.which("curl"):
        return figures
    with running(delay) as service:
        script = _script(service.url)
        curl = run(["sh", "-ec", script]).must_be(0)
        asked = service.span.questions
    if asked != span.questions:
        raise BenchmarkError(f"the suite put {span.questions} questions, the curl script {asked}: nothing to compare")
    times = f"the same {asked} questions in a row; the suite takes {phase.wall / curl.wall:.2f} of that"
    return [*figures, Figure("- by a sequential curl script", curl.wall, None, "s", times)]


def _phase(service: StandIn, folder: Path) -> Ended:
    file = service.write_deployment(folder)
    # With "=": pytest takes a bare path after an option that it does not know yet for where its own settings are.
    arguments = ("-m", "smoke", "--env", "bench", f"--deployment={file}", f"--output={folder / 'output'}")
    return run(pytest(*arguments)).must_be(0)


def _script(url: str) -> str:
    """Ask what the smoke phase asks, one after the other, as a script in a CI job would."""
    paths = ["/health", "/health/ready", "/health/deep", "/content", "/search?q=test"]
    lines = [f"curl -sSf {shlex.quote(url + path)} -o /dev/null" for path in paths]
    lines += [_login(url, PASSWORD), _login(url, "wrong")]
    lines += [f"curl -sSf -r 0-1023 {url}/media/{number}.mp4 -o /dev/null" for number in range(ITEMS)]
    return "\n".join(lines)


def _login(url: str, password: str) -> str:
    body = json.dumps({"email": "user@bench.invalid", "password": password})
    return f"curl -sS -H 'Content-Type: application/json' -d {shlex.quote(body)} {url}/login -o /dev/null"
