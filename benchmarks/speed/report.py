"""What the report weighs, what it costs a run to write it, and how long a browser takes to show it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import run, run_phase

_MB = 1_000_000
_CRITERIA = '''"""Criteria like those of a real run: values with limits, logs, a few that fail."""
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from verification.series import Series
from verification.verdict import Measurement

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)
POINTS = tuple((BEGAN + timedelta(seconds=5 * n), 200.0 + n % 50) for n in range(180))

@pytest.mark.smoke
@pytest.mark.unmendable("a benchmark")
@pytest.mark.parametrize("number", range(COUNT))
def test_value(number):
    """The value stays below its limit."""
    time.sleep(SECONDS)
    logging.getLogger("criterion").warning("asked %s", number)
    series = Series(f"value {number}", "Value", "ms", POINTS, 500.0) if number < CHARTS else None
    for name in ("latency", "error rate", "requests"):
        value = Measurement(name, 312.0, "ms", "https://api.example", samples=9120, window_s=900, series=series)
        value.must_be_below(500)
        series = None
    Measurement("status", 500 if number % 50 == 0 else 200, source="GET https://api.example").must_be(200)
'''
_LOADED = "document.body.setAttribute('data-loaded', performance.now().toFixed())"


def measure(*, quick: bool) -> list[Figure]:
    """A run of 60 criteria with charts, and one of 1,000; in the browser, the load time of each page."""
    figures = []
    for count, most in ((60, 1.0), (1000, 5.0)):
        with tempfile.TemporaryDirectory() as folder:
            page, seconds, spent = _page(Path(folder), count)
            size = page.stat().st_size / _MB
            figures.append(Figure(f"report of {count} criteria", round(size, 2), most, "MB", f"run of {seconds:.1f} s"))
            if count == 1000:
                note = f"{spent:.2f} s from the last criterion to the end, of {seconds:.1f} s"
                figures.append(Figure("- its share of the run", spent / seconds, 0.1, "x", note))
            figures += _load_times(page, count, 3 if quick else 5)
    return figures


def _page(folder: Path, count: int) -> tuple[Path, float, float]:
    """The page of a run, the seconds that the run took, and those after its last criterion."""
    criteria = folder / "team"
    criteria.mkdir()
    source = _CRITERIA.replace("COUNT", str(count)).replace("SECONDS", "0.02").replace("CHARTS", "12")
    (criteria / "test_team.py").write_text(source, encoding="utf-8")
    deployment = folder / "deployment.toml"
    deployment.write_text(
        '[service]\nname = "S"\n[environments.production]\nroles = ["production"]\nurl = "http://127.0.0.1:9"\n'
        '[criteria]\npaths = ["team"]\n',
        encoding="utf-8",
    )
    phase = run_phase("smoke", "production", folder / "output", "-k", "value", f"--deployment={deployment}", codes=(1,))
    ended = [result.ended for result in phase.record.criteria if result.ended]
    if len(ended) != count:
        raise BenchmarkError(f"the run did not ask {count} criteria")
    # Where the run began with the process.
    after = phase.process.wall - (max(ended) - phase.record.started).total_seconds()
    return phase.folder / "report.html", phase.process.wall, after


def _load_times(page: Path, count: int, times: int) -> list[Figure]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        return []
    head, _, tail = page.read_text(encoding="utf-8").rpartition("</body>")
    timed = page.with_name("timed.html")
    timed.write_text(f"{head}<script>addEventListener('load', () => {_LOADED})</script></body>{tail}", encoding="utf-8")
    found = [_loaded(chromium, timed) for _ in range(times)]
    note = f"median of {times}, Chromium, until everything is drawn up"
    return [Figure(f"- {count} criteria in a browser", median(found), 1.0 if count == 60 else None, "s", note)]


def _loaded(chromium: str, page: Path) -> float:
    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
        ended = run([chromium, *options, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]).must_be(0)
    found = re.search(r'data-loaded="(\d+)"', ended.output)
    if found is None:
        raise BenchmarkError("the page was never loaded")
    return int(found[1]) / 1000
