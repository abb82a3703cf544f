"""Starts the sandbox as its users do: as a program, of which only the address document is known."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import fork_server

# A machine under load is slow, which says nothing about what is tested.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("house")

ROOT = Path(__file__).parents[1]

# The suite starts itself some hundred times. Each time is a third shorter where Python keeps what it compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Collecting makes much and drops nothing, in each of the workers.
gc.disable()

# A shell starts what is to run in the background with SIGINT ignored, and that is inherited: by runs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

READY_SECONDS = 60.0  # a deadline for a machine under load; it takes little more than one
END_SECONDS = 30.0

# Whole runs wait more than they compute.
WORKERS_PER_CORE = 3

# What a worker begins with: long ones that share a sandbox. Short ones follow, which idle workers steal from its end.
LONG_ONES = (
    ("chaos", "runs/test_leaks.py", "runs/test_usage.py"),
    ("blame", "runs/test_bad_watches.py"),
    ("runs/test_monitor.py", "runs/test_pre.py"),
    ("runs/test_hooks.py", "runs/test_rollback_outcomes.py", "runs/test_story.py"),
    ("rollback",),
    ("runs", "migrations/test_migrations_rehearsal.py", "migrations/test_migrations_harm.py"),
)

Address = dict[str, Any]
Start = Callable[..., Address]


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means here."""
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For each worker its long tests, then short ones until it has as many as xdist gives to it."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first: list[list[pytest.Item]] = [[] for _ in range(workers)]
    short: list[pytest.Item] = []
    for item in items:
        place = _place(item)
        (short if place is None else first[place % workers]).append(item)
    ordered: list[pytest.Item] = []
    for number, mine in enumerate(first):
        share = (len(items) - len(ordered)) // (workers - number)
        taken = max(0, share - len(mine))
        ordered += mine + short[:taken]
        del short[:taken]
    items[:] = ordered + short


def pytest_collection_finish() -> None:
    """What is there by now stays."""
    gc.freeze()
    gc.enable()


def _place(item: pytest.Item) -> int | None:
    """Where in `LONG_ONES` a test is: by its file, else by its folder."""
    file = item.nodeid.partition("::")[0].removeprefix("tests/")
    for name in (file, file.partition("/")[0]):
        for number, names in enumerate(LONG_ONES):
            if name in names:
                return number
    return None


@contextmanager
def program(*arguments: str, temporary: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """`python -m sandbox` in a process group of its own; killed at the end if it is still there."""
    environment = os.environ | ({"TMPDIR": str(temporary)} if temporary else {})
    process = fork_server.Popen(
        [sys.executable, "-m", "sandbox", "--with-parent", str(os.getpid()), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def ready(process: subprocess.Popen[str]) -> Address:
    """The address document that the program prints once everything is up."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    assert readable, f"no address document within {READY_SECONDS} s"
    line = process.stdout.readline()
    assert line, f"the sandbox ended instead of starting: {process.stderr and process.stderr.read()}"
    document: Address = json.loads(line)
    return document


@pytest.fixture(scope="module")
def start_sandbox() -> Iterator[Start]:
    """Starts another sandbox, for tests that change much or need two; it ends with the module."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Address:
            return ready(stack.enter_context(program(*arguments)))

        yield start


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Address]:
    """The address document of a sandbox that all tests share; leave no fault in force behind you."""
    with program() as process:
        yield ready(process)
