"""Commands run with a deadline, leave nothing behind, and say what came of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_tree.clone import WITHIN, alive, until
from verification.errors import ObserverError
from verification.redaction import HIDDEN, register
from verification.source_tree.commands import Commands
from verification.source_tree.transcript import Transcript

# Starts a child in a session of its own, which a kill of the group alone would miss, notes both, and hangs.
HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("pids", "w").write(f"{os.getpid()} {child.pid}\\n")
print("began", flush=True)
time.sleep(600)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HANGS


@pytest.fixture(autouse=True)
def no_process_is_left_behind(tmp_path: Path) -> Iterator[None]:
    """A test that fails has found one that lives on."""
    yield
    file = tmp_path / "pids"
    for pid in file.read_text().split() if file.is_file() else ():
        if alive(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


def python(text: str) -> list[str]:
    return ["{python}", "-c", text]


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    assert until(lambda: file.is_file() and file.read_text().endswith("\n"))
    return [int(one) for one in file.read_text().split()]


def test_exit_code_and_output_are_kept(commands: Commands, tmp_path: Path) -> None:
    ended = commands.run(python("print('well'); raise SystemExit(3)"), tmp_path, WITHIN, "one.log")
    assert (ended.exit_code, ended.problem) == (3, None)
    assert ended.log.read_text() == "well\n"
    assert ended.last_lines == "well"


def test_a_signal_is_told_as_shells_do(commands: Commands, tmp_path: Path) -> None:
    ended = commands.run(python("import os; os.kill(os.getpid(), 9)"), tmp_path, WITHIN, "one.log")
    assert ended.exit_code == 128 + signal.SIGKILL


@pytest.mark.parametrize("program", [HANGS, DEAF], ids=["hangs", "ignores SIGTERM"])
def test_at_the_deadline_the_whole_tree_ends(commands: Commands, tmp_path: Path, program: str) -> None:
    ended = commands.run(python(program), tmp_path, 1.5, "one.log")
    assert isinstance(ended.problem, ObserverError)
    assert "had not ended after 1.5s" in ended.problem.cause
    assert "began" in ended.problem.cause
    assert "code.within" in ended.problem.remedy
    assert until(lambda: not any(map(alive, pids(tmp_path))))


def test_closing_ends_what_runs_and_starts_nothing_more(commands: Commands, tmp_path: Path) -> None:
    answers: list[ObserverError | None] = []
    thread = threading.Thread(
        target=lambda: answers.append(commands.run(python(HANGS), tmp_path, 600, "one.log").problem)
    )
    thread.start()
    running = pids(tmp_path)
    commands.close()
    thread.join(WITHIN)
    assert answers
    assert "the run was" in str(answers[0])
    assert until(lambda: not any(map(alive, running)))
    with pytest.raises(ObserverError):
        commands.run(python("print(1)"), tmp_path, WITHIN, "two.log")


def test_nothing_outlives_a_suite_that_is_killed(tmp_path: Path) -> None:
    suite = f"""
from pathlib import Path
from verification.source_tree.commands import Commands
Commands(Path(".")).run(["{{python}}", "-c", {HANGS!r}], Path("."), 600, "one.log")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", suite], cwd=tmp_path, env=environment)
    try:
        running = pids(tmp_path)
    finally:
        process.kill()
        process.wait(WITHIN)
    assert until(lambda: not any(map(alive, running)))


def test_what_a_command_leaves_in_the_background_ends_with_it(commands: Commands, tmp_path: Path) -> None:

    leaves = HANGS.rsplit("time.sleep(600)", 1)[0]
    ended = commands.run(python(leaves), tmp_path, WITHIN, "one.log")
    assert ended.exit_code == 0
    assert not alive(pids(tmp_path)[1])


@pytest.mark.parametrize(
    ("command", "cause", "remedy"),
    [
        (["no-such-program"], "there is no program no-such-program", "Install no-such-program"),
        (["./plain"], "./plain is not executable", "chmod +x"),
        (["./garbage"], "could not be started", "Run it by hand"),
        (["sh", "-c", "exit 127"], "could not be started", "Run it by hand"),
    ],
)
def test_a_command_that_cannot_start_is_named(
    commands: Commands, tmp_path: Path, command: list[str], cause: str, remedy: str
) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "garbage").write_bytes(b"\x00\x01")
    (tmp_path / "garbage").chmod(0o755)
    problem = commands.run(command, tmp_path, WITHIN, "one.log").problem
    assert problem is not None
    assert cause in problem.cause
    assert remedy in problem.remedy


def test_a_missing_directory_is_named(commands: Commands, tmp_path: Path) -> None:
    problem = commands.run(python("1"), tmp_path / "gone", WITHIN, "one.log").problem
    assert "there is no directory" in str(problem)
    assert "checkout.path" in str(problem)


def test_the_suites_own_secrets_and_pytest_options_are_not_handed_on(logs: Path, tmp_path: Path) -> None:
    ours = {
        "MONGODB_URL": "mongodb://staging.example/users",
        "JIRA_API_TOKEN": "jira-token",
        "PYTEST_ADDOPTS": "--env production",
        "GIT_DIR": "/elsewhere",
        "VIRTUAL_ENV": sys.prefix,
        "DJANGO_SETTINGS": "kept",
    }
    commands = Commands(logs, {**os.environ, **ours})
    shows = python(
        "import os; print(*sorted(set(os.environ) & set('MONGODB_URL JIRA_API_TOKEN PYTEST_ADDOPTS GIT_DIR "
        "VIRTUAL_ENV DJANGO_SETTINGS'.split())))"
    )
    assert commands.run(shows, tmp_path, WITHIN, "one.log").last_lines == "DJANGO_SETTINGS"


def test_secrets_reach_neither_the_file_nor_the_last_lines(commands: Commands, tmp_path: Path) -> None:
    register("correct-horse-battery")
    # In pieces, so that no read sees the secret whole; then in a line that never ends.
    says = (
        "import sys, time\n"
        "for piece in ('correct-', 'horse-', 'battery', '\\n', 'x' * 200_000, 'correct-horse-battery'):\n"
        "    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.02)"
    )
    ended = commands.run(python(says), tmp_path, WITHIN, "one.log")
    text = ended.log.read_text()
    assert "horse" not in text + ended.last_lines
    assert text.count(HIDDEN) == 2


def test_huge_output_is_cut_and_its_end_kept(tmp_path: Path) -> None:
    source = tmp_path / "output"
    source.write_bytes(b"line\n" * 1_000_000 + b"the end\n")
    transcript = Transcript(tmp_path / "log", largest=1_000_000)
    with source.open("rb", buffering=0) as stream:
        transcript.copy(stream)
    text = (tmp_path / "log").read_text()
    assert len(text) < 1_300_000
    assert "4 MB of 5 MB are not in the file" in text
    assert transcript.last_lines().endswith("the end")
    assert transcript.problem


def test_a_full_disk_does_not_stop_the_command(tmp_path: Path) -> None:
    source = tmp_path / "output"
    source.write_bytes(b"line\n" * 100_000 + b"the end\n")
    transcript = Transcript(Path("/dev/full"))
    with source.open("rb", buffering=0) as stream:
        transcript.copy(stream)
        assert stream.read() == b""
    assert "could not be written" in transcript.problem
    assert transcript.last_lines().endswith("the end")


def test_commands_run_side_by_side(commands: Commands, tmp_path: Path) -> None:
    # Each waits for the other: one after the other, they would never end.
    meet = (
        "import pathlib, sys, time\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.01)"
    )
    codes: list[int | None] = []
    threads = [
        threading.Thread(
            target=lambda names=names: codes.append(
                commands.run([*python(meet), *names], tmp_path, WITHIN, f"{names[0]}.log").exit_code
            )
        )
        for names in (("a", "b"), ("b", "a"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * WITHIN)
    assert codes == [0, 0]
