"""One rollback of a service at a time on this machine. Between machines, Cloud Run's etag does the same."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

from filelock import FileLock, Timeout

from verification.errors import RollbackWithheld
from verification.settings.model import CloudRun


def lock_file(service: CloudRun) -> Path:
    """The file whose lock a rollback of `service` holds."""
    where = f"-{service.endpoint}" if service.endpoint else ""
    name = f"{_user()}-{service.project}-{service.region}-{service.service}{where}"
    return Path(tempfile.gettempdir()) / f"rollback-{re.sub(r'[^A-Za-z0-9.-]', '_', name)}.lock"


@contextmanager
def sole_rollback(service: CloudRun) -> Iterator[None]:
    """Hold the lock. Raises RollbackWithheld while somebody else does; without a place for the file, go on without."""
    try:
        path = lock_file(service)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        raise RollbackWithheld(
            f"another rollback of {service.service} is running on this machine",
            "Wait for it to end, then look at what serves.",
        ) from None
    except OSError:
        yield  # the etag still keeps two from writing
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it sees that, and makes a new one
        lock.release()


@contextmanager
def sole_aftermath(journal: Path, within: float) -> Iterator[None]:
    """Hold the lock of one journal, for whoever brings its run to an end. Raises RollbackWithheld after `within` s."""
    digest = hashlib.sha256(str(journal.absolute()).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"rollback-{_user()}-journal-{digest}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=within)
    except Timeout:
        raise RollbackWithheld(
            f"somebody else has been bringing this run to its end for {within:g} s", "Look at what serves."
        ) from None
    except OSError:
        yield  # a second one would find the journal settled, or the rollback's own lock held
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user needs no name
        return str(os.getuid())
