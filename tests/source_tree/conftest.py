"""A clone of the service, and commands that run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_tree.clone import Clone
from verification.source_tree.commands import Commands


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "bayit")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def commands(logs: Path) -> Iterator[Commands]:
    running = Commands(logs)
    yield running
    running.close()
