"""Runs the service's own commands in its checkout, with a deadline; no process is left behind.

Each command runs under a guard (`process_guard.py`): its whole process tree ends with it, at its deadline, when the
run is closed, and when this process dies.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from verification.deadline import Stopwatch
from verification.errors import ObserverError
from verification.settings.units import duration_text
from verification.source_tree import process_guard
from verification.source_tree.transcript import Transcript

_GRACE = 3.0
_END_WITHIN = 2 * _GRACE + 4

# What this suite asks the outside with is none of the service's tests' business: a test that clears its database must
# not find staging's address in its environment.
_WITHHELD = {
    "GITHUB_TOKEN", "JIRA_API_TOKEN", "JIRA_EMAIL", "PAGERDUTY_ROUTING_KEY", "PAGERDUTY_TOKEN", "MONGODB_URL",
    "PRODUCTION_MONGODB_URL", "SENTRY_AUTH_TOKEN", "SENTRY_DSN", "SLACK_BOT_TOKEN", "SMOKE_USER_EMAIL",
    "SMOKE_USER_PASSWORD",
}  # fmt: skip
_OURS = ("PYTEST_", "GIT_", "COV_CORE_", "FORCE_COLOR", "PY_COLORS")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. `problem`: why nothing can be said of it; else `exit_code` is what it ended with."""

    command: str
    exit_code: int | None
    seconds: float
    log: Path
    last_lines: str = ""
    cut: str = ""  # why the log is not whole, if it is not
    problem: ObserverError | None = None


class Commands:
    """Starts and ends commands, several at a time; their output lands in files of the folder `logs`."""

    def __init__(self, logs: Path, variables: Mapping[str, str] = os.environ) -> None:
        self._logs = logs
        self._variables = _for_the_service(variables)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(
        self,
        command: Sequence[str],
        directory: Path,
        within: float,
        log: str,
        variables: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run `command` in `directory` for at most `within` seconds, with `variables` added to its environment.

        Its output goes to the file `log`. Never raises for what the command does: that is in the answer.
        """
        words = [sys.executable if word == "{python}" else word for word in command]
        shown = " ".join("python" if word == "{python}" else shlex.quote(word) for word in command)
        file = self._logs / log
        environment = {**self._variables, **(variables or {})}
        missing = _why_it_cannot_start(words[0], directory, environment)
        if missing:
            problem = ObserverError(f"`{shown}` did not run: {missing[0]}", missing[1])
            return CommandResult(shown, None, 0.0, file, problem=problem)
        asked = Stopwatch.start()
        transcript = Transcript(file)
        token = secrets.token_hex(16)
        with self._started(words, directory, environment, token) as process:
            reader = threading.Thread(target=transcript.copy, args=(process.stdout,), daemon=True)
            reader.start()
            timed_out = _wait_or_end(process, within, token)
            reader.join(_END_WITHIN)
        seconds = asked.seconds
        ended_badly = self._problem(shown, process.returncode, timed_out, within, transcript.last_lines(), file)
        code = None if ended_badly else process.returncode
        return CommandResult(shown, code, seconds, file, transcript.last_lines(), transcript.problem, ended_badly)

    def close(self) -> None:
        """End whatever still runs."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _let_go(process)
        for process in running:
            _wait_or_kill(process)

    @contextmanager
    def _started(
        self, words: Sequence[str], directory: Path, environment: Mapping[str, str], token: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        with self._lock:
            if self._closed:
                raise ObserverError(f"{words[0]} was not started: the run has ended")
            process = subprocess.Popen(
                # -E -P: nothing of the service's own environment can get into the guard.
                [sys.executable, "-E", "-P", process_guard.__file__, token, str(_GRACE), *words],
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            yield process
        finally:
            _let_go(process)
            with self._lock:
                self._running.discard(process)
            if process.stdout is not None:
                process.stdout.close()

    def _problem(
        self, shown: str, code: int, timed_out: bool, within: float, last_lines: str, file: Path
    ) -> ObserverError | None:
        said = f"; it last said:\n{last_lines}" if last_lines else "; it said nothing"
        if timed_out:
            return ObserverError(
                f"`{shown}` had not ended after {duration_text(within)}, and was ended with all it had started{said}",
                f"Find out where it hangs ({file.name} has its output), or raise code.within if it is merely slow.",
            )
        if self._closed:
            return ObserverError(f"`{shown}` was ended, because the run was")
        if code < 0:
            return ObserverError(f"`{shown}` was killed from outside (signal {-code}){said}", "Run it again.")
        if code in {process_guard.NOT_STARTED, 127}:
            return ObserverError(
                f"`{shown}` could not be started (exit code {code}){said}",
                "Run it by hand in the checkout; mend it there, or the command in [code] of deployment.toml.",
            )
        return None


def _for_the_service(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in variables.items()
        if name not in _WITHHELD and not name.startswith(_OURS) and name != process_guard.MARK
    }
    if kept.get("VIRTUAL_ENV") == sys.prefix:  # poetry would take this suite's environment for the service's
        del kept["VIRTUAL_ENV"]
    return {**kept, "NO_COLOR": "1"}


def _why_it_cannot_start(program: str, directory: Path, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Cause and remedy; None where it can."""
    if not directory.is_dir():
        return f"there is no directory {directory}", "Mend checkout.path or code.directory in deployment.toml."
    path = directory / program if os.sep in program else Path(program)
    if shutil.which(str(path), path=environment.get("PATH", os.defpath)):
        return None
    if os.sep in program and path.is_file():
        return f"{program} is not executable", f"chmod +x {shlex.quote(str(path))}"
    return (
        f"there is no program {program}",
        f"Install {program}, put it on PATH, or mend the command in [code] of deployment.toml.",
    )


def _wait_or_end(process: subprocess.Popen[bytes], within: float, token: str) -> bool:
    """Wait for the guard; at the deadline let go of it. Whether the deadline passed."""
    timed_out = False
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        timed_out = True
        _let_go(process)
        _wait_or_kill(process)
    if process.returncode < 0:  # the guard itself was killed, and could end nothing
        process_guard.end_tree(token, None, _GRACE)
    return timed_out


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
