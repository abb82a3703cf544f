"""One rollback of a service at a time on this machine. Between machines, Cloud Run's etag does the same."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

from filelock import FileLock, Timeout

from verification.settings.service import CloudRunSettings


@contextmanager
def sole_rollback(service: CloudRunSettings) -> Iterator[bool]:
    """Hold the lock of `service`, if nobody else does: whether that is so."""
    with _held(lambda: lock_file(service), 0) as held:
        yield held


@contextmanager
def sole_resume(journal: Path, within: float) -> Iterator[bool]:
    """Hold the lock of one journal, for whoever brings its run to an end; False when others did for `within` s."""
    digest = hashlib.sha256(str(journal.absolute()).encode()).hexdigest()[:16]
    with _held(lambda: Path(tempfile.gettempdir()) / f"rollback-{_user()}-journal-{digest}.lock", within) as held:
        yield held


def lock_file(service: CloudRunSettings) -> Path:
    """The file whose lock a rollback of `service` holds."""
    where = f"-{service.endpoint}" if service.endpoint else ""
    name = f"{_user()}-{service.project}-{service.region}-{service.service}{where}"
    return Path(tempfile.gettempdir()) / f"rollback-{re.sub(r'[^A-Za-z0-9.-]', '_', name)}.lock"


@contextmanager
def _held(find_path: Callable[[], Path], within: float) -> Iterator[bool]:
    try:
        path = find_path()
        lock = FileLock(path)
        lock.acquire(timeout=within)
    except Timeout:
        yield False
        return
    except OSError:  # no place for the file: the etag, and the settled journal, still keep two from writing
        yield True
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it sees that, and makes a new one
        lock.release()


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user needs no name
        return str(os.getuid())
