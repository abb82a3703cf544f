"""The criterion that breaks its own run, as `benchmarks.chaos` wishes (variable CHAOS); copied to a team's folder."""

import ctypes
import json
import os
import pathlib
import resource
import time

import pytest

WISH = json.loads(os.environ["CHAOS"])
ONCE = pathlib.Path(WISH["once"])
TIMED = WISH["blow"].startswith("timeout") and not ONCE.exists()
METHOD = "thread" if WISH["blow"].endswith("thread") else "signal"
TIMEOUT = [pytest.mark.timeout(0.2 + WISH["delay"], method=METHOD)] if TIMED else []
pytestmark = [pytest.mark.smoke, pytest.mark.monitor, *TIMEOUT]


def test_chaos() -> None:
    """Something breaks, once."""
    if ONCE.exists():
        return
    ONCE.touch()
    if TIMED:
        time.sleep(60)
    time.sleep(WISH["delay"])
    if WISH["blow"] == "os._exit":
        os._exit(3)
    if WISH["blow"] == "segfault":
        ctypes.string_at(0)
    if WISH["blow"] == "out of memory":
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 32_000_000, resource.RLIM_INFINITY))
        bytearray(100_000_000)
    if WISH["blow"] == "starved of memory":
        resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
    if WISH["blow"] == "full disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
