"""What `--collect-only` costs beside an empty project with the same plugins, and which heavy packages it imports."""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from pathlib import Path
from statistics import median

from benchmarks.figure import BenchmarkError, Figure
from benchmarks.programs import ROOT, Ended, pytest, run

_RATIO_LIMIT = 1.5
_OURS = ("--collect-only", "-m", "smoke", "--env", "sandbox")
_NO_TESTS = 5  # pytest's exit code for a file without a test
_HEAVY = ("google", "grpc", "pymongo", "bson", "sentry_sdk")

# -X importtime would miss most of it: pytest captures what is printed during collection.
_LIST_MODULES = """
import sys
from pathlib import Path
import pytest

class List:
    def pytest_unconfigure(self):
        Path(sys.argv[1]).write_text("\\n".join(sorted(sys.modules)))

sys.exit(pytest.main(sys.argv[2:], plugins=[List()]))
"""


def measure(*, quick: bool) -> list[Figure]:
    """The ratio of the median wall times over interleaved runs, and how many heavy modules were imported."""
    with tempfile.TemporaryDirectory() as folder:
        empty = _empty_project(Path(folder))
        _ours(), _empties(empty)  # the first run writes bytecode
        pairs = [(_ours(), _empties(empty)) for _ in range(3 if quick else 9)]
        modules = _heavy_modules(Path(folder) / "modules.txt")
    wall, wall_empty = (median(ended.wall for ended in runs) for runs in zip(*pairs, strict=True))
    processor, processor_empty = (median(ended.processor for ended in runs) for runs in zip(*pairs, strict=True))
    note = f"medians of {len(pairs)} interleaved runs: {wall:.2f} s against {wall_empty:.2f} s"
    note_processor = f"the same runs, processor time: {processor:.2f} s against {processor_empty:.2f} s"
    return [
        Figure("collect-only against an empty project", wall / wall_empty, _RATIO_LIMIT, "x", note),
        Figure("- in processor time", processor / processor_empty, None, "x", note_processor),
        Figure(
            "- Google, Mongo and Sentry modules", len(modules), 0, "", ", ".join(modules[:5]) or "sys.modules at exit"
        ),
    ]


def _ours() -> Ended:
    return run(pytest(*_OURS)).must_be(0)


def _empties(folder: Path) -> Ended:
    return run(pytest("--collect-only"), folder=folder).must_be(_NO_TESTS)


def _empty_project(folder: Path) -> Path:
    """One empty test file, and our own pytest options that concern plugins."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    options = "\n".join(f"{key} = {json.dumps(ours[key])}" for key in ("strict", "addopts", "timeout"))
    (folder / "pyproject.toml").write_text(f"[tool.pytest]\n{options}\n", encoding="utf-8")
    (folder / "test_nothing.py").write_text("", encoding="utf-8")
    return folder


def _heavy_modules(listing: Path) -> list[str]:
    run([sys.executable, "-c", _LIST_MODULES, str(listing), *_OURS]).must_be(0)
    modules = listing.read_text(encoding="utf-8").split()
    if "verification.settings" not in modules:
        raise BenchmarkError("the list of modules is not that of a collection")
    return [name for name in modules if name.partition(".")[0] in _HEAVY]
