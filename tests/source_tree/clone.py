"""A clone to break, and what the tests of code and release ask of processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from sandbox.backend.checkout import make_checkout
from verification.deadline import Deadline, poll
from verification.source_tree.checkout import Checkout
from verification.verdict import Measurement

WITHIN = 20.0


def until(true: Callable[[], bool]) -> bool:
    """Whether it became true before the deadline."""
    return poll(true, Deadline.after(WITHIN), 0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and whose parent has not looked yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def git(path: Path, *arguments: str) -> str:
    """What git answers, whatever this machine's user is set to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables = {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=Dana", "-c", "user.email=dana@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(path), *who, "-c", "protocol.file.allow=always", *arguments]
    return (
        subprocess.run(command, check=True, capture_output=True, env=variables, timeout=WITHIN).stdout.decode().strip()
    )


class Clone:
    """A clone like the sandbox's, with a commit that production runs."""

    def __init__(self, path: Path) -> None:
        made = make_checkout(path)
        self.path, self.deployed, self.candidate = made.path, made.deployed, made.candidate
        self.checkout = Checkout(path)

    def write(self, name: str, text: str | bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def change(self, message: str, files: dict[str, str]) -> str:
        """Commit `files`, and let that be the candidate."""
        for name, text in files.items():
            self.write(name, text)
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--allow-empty", "--message", message)
        self.candidate = git(self.path, "rev-parse", "HEAD")
        return self.candidate


def reason(measurement: Measurement) -> str:
    """Cause and remedy of the measurement's problem."""
    assert measurement.problem is not None
    assert measurement.problem.remedy, "a remedy is missing"
    return str(measurement.problem)
