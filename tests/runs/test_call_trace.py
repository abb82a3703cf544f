"""The way from a failing login to shifted traffic stays short enough to be read."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

# 25 before a failure was asked again and the revision from before asked the same: each of these is on the way now.
MOST_FILES = 31


def test_a_failure_passes_few_files_until_the_traffic_has_shifted() -> None:
    command = [sys.executable, "-m", "tests.call_trace"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    files = [
        line for line in ran.stdout.splitlines() if (line.endswith(".py") and "/" in line) or line == "conftest.py"
    ]
    assert "rollback/policy/decide.py" in files
    assert len(files) <= MOST_FILES, files
