"""What a test starts by forking is what a user starts."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests import fork_server
from tests.conftest import END_SECONDS, ROOT, program, ready
from tests.runs.conftest import Ran, Runner, World

SMOKE = ("-m", "smoke", "--env", "sandbox", "--fault", "search-broken")


def outcome(ran: Ran) -> object:
    """What a run came to, whenever and however fast it did."""
    last = re.sub(r" in \d.*|=", "", ran.said.rstrip().rpartition("\n")[2])
    file = ran.verdict
    verdicts = [(one.id, one.verdict, one.reason) for one in file.criteria]
    return ran.code, file.verdict, file.rollback.outcome, file.rollback.verified, sorted(verdicts), last


def test_a_forked_run_ends_as_one_in_an_interpreter_of_its_own(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = Runner(tmp_path / "forked")(*SMOKE, variables=world.variables)
    world.put_right()
    monkeypatch.setenv("PLAIN_PROCESSES", "1")
    plain = Runner(tmp_path / "plain")(*SMOKE, variables=world.variables)
    assert forked.code == 1, forked.said
    assert outcome(forked) == outcome(plain)


def test_a_forked_process_is_a_child_with_the_session_environment_and_files_that_it_was_given(tmp_path: Path) -> None:
    with program(temporary=tmp_path) as process:
        ready(process)  # has read its standard output
        seen = psutil.Process(process.pid)
        assert (seen.ppid(), os.getsid(process.pid), seen.cwd()) == (os.getpid(), process.pid, str(ROOT))
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGSTOP)
        assert process.poll() is None
        process.kill()
        assert process.wait(END_SECONDS) == -signal.SIGKILL


def test_what_asks_for_another_interpreter_gets_it() -> None:
    usual = fork_server.run([sys.executable, "-m", "sandbox", "--nonsense"], timeout=60)
    other = fork_server.run(
        [sys.executable, "-m", "sandbox", "--nonsense"], timeout=60, env={**os.environ, "PYTHONVERBOSE": "1"}
    )
    assert (usual.returncode, other.returncode) == (2, 2)
    assert "import 'psutil'" not in usual.stderr
    assert "import 'psutil'" in other.stderr
