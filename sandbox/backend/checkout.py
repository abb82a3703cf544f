"""The service's source as a git clone: what production runs, and the release that is to replace it."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.backend.checkout_files import CANDIDATE, DEPLOYED, HistoryCommit

_WITHIN = 20.0
_AUTHOR = "Dana Levi <dana@bayit.example>"


@dataclass(frozen=True, slots=True)
class ServiceCheckout:
    """A clone with the candidate checked out; the ids of the commits that matter."""

    path: Path
    deployed: str
    candidate: str


def make_checkout(path: Path) -> ServiceCheckout:
    """Make the clone at `path`, which must not exist. Takes about 0.05 s.

    Raises OSError where git is missing, and subprocess.SubprocessError where it fails.
    """
    path.mkdir(parents=True)
    _git(path, "init", "--quiet", "--initial-branch=main")
    _git(path, "fast-import", "--quiet", "--done", entered=_history([*DEPLOYED, *CANDIDATE]))
    _git(path, "reset", "--quiet", "--hard", "main")
    listed = _git(path, "rev-list", "--reverse", "main").split()
    return ServiceCheckout(path, deployed=listed[len(DEPLOYED) - 1], candidate=listed[-1])


def checkout_or_none(path: Path) -> ServiceCheckout | None:
    """As `make_checkout`; None where there is no git that works."""
    try:
        return make_checkout(path)
    except (OSError, subprocess.SubprocessError):
        return None


def _history(steps: list[HistoryCommit]) -> bytes:
    """The commits in the language of `git fast-import`: one process makes them all."""
    now = time.time()
    lines: list[bytes] = []
    for step in steps:
        when = f"{_AUTHOR} {int(now - step.hours_ago * 3600)} +0000"
        lines += [b"commit refs/heads/main", f"committer {when}".encode(), _data(step.message)]
        for path, text in step.files.items():
            lines += [f"M 100644 inline {path}".encode(), _data(text)]
    return b"\n".join([*lines, b"done", b""])


def _data(text: str) -> bytes:
    raw = text.encode()
    return b"data %d\n%s" % (len(raw), raw)


def _git(path: Path, *arguments: str, entered: bytes = b"") -> str:
    # What the user's git is set to (signing, hooks, other line ends) must not change this history.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables = {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    answer = subprocess.run(
        ["git", "-C", str(path), *arguments],
        input=entered,
        capture_output=True,
        check=True,
        env=variables,
        timeout=_WITHIN,
    )
    return answer.stdout.decode()
