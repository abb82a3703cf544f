"""Libraries that several threads need at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from verification.clients.lazy_imports import load

# While it is imported, each looks whether the other is being imported, too.
MODULE = """
from heavy_begun import heavy_one, heavy_two
{mine}.set()
overlapped = {other}.wait(0.2)
{mine}.clear()
"""


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    (tmp_path / "heavy_begun.py").write_text(
        "import threading\nheavy_one, heavy_two = threading.Event(), threading.Event()\n"
    )
    (tmp_path / "heavy_one.py").write_text(MODULE.format(mine="heavy_one", other="heavy_two"))
    (tmp_path / "heavy_two.py").write_text(MODULE.format(mine="heavy_two", other="heavy_one"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "heavy_one", "heavy_two"
    for name in ("heavy_begun", "heavy_one", "heavy_two"):
        sys.modules.pop(name, None)


def test_libraries_are_loaded_by_one_thread_at_a_time(libraries: tuple[str, str]) -> None:
    together = threading.Barrier(2, timeout=30)

    def need(name: str) -> None:
        together.wait()
        load(name)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(need, libraries))
    assert [sys.modules[name].overlapped for name in libraries] == [False, False]


def test_a_library_that_is_missing_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load("no_such_library")
