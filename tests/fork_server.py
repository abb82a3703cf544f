"""Starts `python -m pytest` and our own programs as forks of a process that has imported what they import.

More than half of the processor time of a whole run goes into imports, and the tests start hundreds. What is started
here is a process like any other: a child of ours with its own pid, environment, files, signals and end. The variable
PLAIN_PROCESSES starts each in an interpreter of its own, as everything is that cannot be forked.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import signature
from pathlib import Path
from typing import AnyStr

ROOT = Path(__file__).parents[1]
PROGRAMS = ("pytest", "rollback", "reports", "sandbox")

_PACKAGES = ("_pytest", "verification", "rollback", "reports", "sandbox")
# Pytest imports these itself: it rewrites their assertions.
_NOT_OURS_TO_IMPORT = ("verification.plugin", "verification.misread_paths", "verification.probes")
# What our packages import where it is first used.
_LAZY = (
    "anyio._backends._asyncio", "google.auth.transport.requests", "google.cloud.logging", "google.cloud.monitoring_v3",
    "google.cloud.run_v2", "jinja2", "pdb", "psutil", "pytest_metadata", "rich.live", "rich.progress_bar", "rich.table",
    "sentry_sdk", "slack_sdk.http_retry.builtin_handlers", "stamina", "yaml",
)  # fmt: skip
# Pytest would warn in each run that it cannot rewrite what is imported here of plugins; where the project is installed,
# all of its packages are such.
_PLUGINS = ("anyio", "pytest_metadata", "verification", "rollback", "reports", "sandbox")

_MOST = 1 << 18  # bytes of a request
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


class Popen(subprocess.Popen[AnyStr]):
    """`subprocess.Popen`, whose process is forked from the server where that makes no difference."""

    def _execute_child(self, *arguments: object) -> None:
        # The one place in which Popen makes its process; everything else that it does stays as it is.
        execute = super()._execute_child  # type: ignore[misc]
        given = signature(execute).bind(*arguments).arguments
        command, variables = given["args"], given["env"] or os.environ
        if not _can_fork(command, given["cwd"], variables):
            execute(*arguments)
            return
        files = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        inherited = [number if file == -1 else file for number, file in enumerate(files)]
        self.pid = _server().start(command[2:], variables, inherited, new_session=given["start_new_session"])
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]


def run(
    command: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `command` printed in the project's folder and how it ended, as `subprocess.run` has it."""
    with Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _can_fork(command: Sequence[str], folder: object, variables: Mapping[str, str]) -> bool:
    """Whether it is one of our programs, and no variable asks for another interpreter than the server's."""
    return (
        sys.platform == "linux"
        and "PLAIN_PROCESSES" not in os.environ
        and list(command[:2]) == [sys.executable, "-m"]
        and command[2] in PROGRAMS
        and folder == ROOT
        and _of_python(variables) == _of_python(os.environ)
    )


def _of_python(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith("PYTHON")}


class _Server:
    """The process that forks, as this one sees it."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._prctl = ctypes.CDLL(None).prctl
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process that forks has no threads
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self._close)
        assert self._connection.recv(_MOST) == b"ready"

    def start(
        self, words: Sequence[str], variables: Mapping[str, str], files: Sequence[int], *, new_session: bool
    ) -> int:
        """The pid of a new child of this process."""
        request = json.dumps([list(words), dict(variables), new_session]).encode()
        with self._one_at_a_time:
            # The process is the grandchild of the server; as its parent ends, it becomes the child of the next reaper.
            # That is us for this moment only: what a run leaves behind shall be nobody's child, as it is outside.
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._connection, [request], files)
                pid = int(self._connection.recv(_MOST))
                assert self._connection.recv(_MOST) == b"its parent has ended"
            finally:
                self._prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises where it is not our child
        return pid

    def _close(self) -> None:
        self._connection.close()
        self._process.wait()


_starting = threading.Lock()


@cache
def _the_server() -> _Server:
    return _Server()


def _server() -> _Server:
    with _starting:
        return _the_server()


def _import_all() -> None:
    """Import what runs import, and make what else takes each of them its time: templates, and who a file belongs to."""
    gc.disable()  # imports make much and drop nothing
    for name in _PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            last = module.name.rpartition(".")[2]
            if not module.name.startswith(_NOT_OURS_TO_IMPORT) and not last.startswith(("test_", "__main__")):
                importlib.import_module(module.name)
    for name in _LAZY:
        importlib.import_module(name)
    from reports.page import templates

    for name in templates().list_templates(["j2"]):
        templates().get_template(name)
    inspect.getmodule(_import_all.__code__)  # from then on it knows which file is which module's: pytest shows failures
    for name in _PLUGINS:
        sys.modules[name].__doc__ = "PYTEST_DONT_REWRITE"
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads: a fork would have one of them"
    gc.freeze()  # so that collections leave the memory alone that is shared
    gc.enable()


def _serve(connection: socket.socket) -> list[str]:
    """Fork at each request until there are no more; in a process that was forked, what it shall run."""
    connection.send(b"ready")
    while True:
        request, files, _, _ = socket.recv_fds(connection, _MOST, 3)
        if not request:
            sys.exit()
        parent = os.fork()
        if parent:
            os.waitpid(parent, 0)
            for file in files:
                os.close(file)
            connection.send(b"its parent has ended")
            continue
        if pid := os.fork():
            connection.send(str(pid).encode())
            os._exit(0)
        connection.close()
        return _become(files, *json.loads(request))


def _become(files: Sequence[int], words: list[str], variables: Mapping[str, str], new_session: bool) -> list[str]:
    """Be the process that was asked for; the words of its command."""
    if new_session:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(variables)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    return words


if __name__ == "__main__":
    try:
        _import_all()
        sys.argv = _serve(socket.socket(fileno=int(sys.argv[1])))
    except KeyboardInterrupt:  # in a terminal, it is for whoever runs the tests
        sys.exit(1)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
