"""The pytest plugin (entry point `pytest11`) that explains what pytest itself cannot: our options were never declared.

Until a conftest has declared `--deployment`, pytest takes the word after it for a path of tests. One that lies outside
of the project makes pytest choose another rootdir and conftest, and complain of "unrecognized arguments". An installed
plugin is loaded in every run of the environment, so this one imports nothing and acts in the project's folder alone.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_WITH_PATHS = ("--deployment", "--output", "--resume")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Raise pytest.UsageError where the project's conftest is not loaded because of an option's value."""
    yield
    here = early_config.invocation_params.dir.resolve() == ROOT
    if here and not early_config.pluginmanager.has_plugin(str(ROOT / "conftest.py")):
        joined = [f"{option}={value}" for option, value in pairwise(args) if option in _WITH_PATHS]
        if joined:
            raise pytest.UsageError(f"write {' '.join(joined)}: with a space, pytest takes the path for one of tests")
