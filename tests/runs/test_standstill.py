"""A run whose machine stands still in the middle of its questions, as a paused one does: nobody is blamed for that."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.clients.relay import relay_to
from tests.runs.conftest import Runner, World

TIMEOUT = 2.0


def test_a_run_that_stood_still_for_longer_than_an_answer_may_take_moves_nothing(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    before = world.answering()
    processes: list[subprocess.Popen[str]] = []
    stopped: list[str] = []

    def stop_in_the_middle(_: str, path: str) -> None:
        if path == "/health" and not stopped:
            stopped.append(path)
            os.kill(processes[0].pid, signal.SIGSTOP)
            time.sleep(TIMEOUT + 1)
            os.kill(processes[0].pid, signal.SIGCONT)

    with relay_to(world.url) as relay:
        relay.before = stop_in_the_middle
        file = production((world.url, relay.address), ('timeout = "10s"', f'timeout = "{TIMEOUT:g}s"'))
        processes.append(run.start("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account))
        ran = run.end(processes[0])
    assert stopped
    assert ran.code == 0, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == before
    assert "asked again: this machine stood still" in ran.report
