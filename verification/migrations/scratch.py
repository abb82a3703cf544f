"""Scratch databases: made on the same server, marked, and dropped; never anybody else's.

Its name carries a fixed prefix, the time of its creation and something random; it is made only where there is no such
database; and it carries a marker document. Only a database of such a name is ever dropped; one that this process did
not make itself, only with the marker in it, and only when it is past the time that the marker tells.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pymongo.errors import PyMongoError

from verification.clients.mongodb import Database, MongoDB
from verification.deadline import Deadline, poll
from verification.errors import ObserverError

PREFIX = "verification_scratch_"
MARKER = "verification_marker"

_NAME = re.compile(rf"{PREFIX}[0-9]{{10}}_[0-9a-f]{{12}}")
_DROP_WITHIN = 60.0


@contextmanager
def scratch(server: MongoDB, lasts: float) -> Iterator[Database]:
    """An empty database that is dropped at the end, whatever happens inside, also when the process ends before.

    It is used for `lasts` seconds at most: one that a killed run left behind is dropped by a later run, once its time
    is past. Raises ObserverError.
    """
    name = f"{PREFIX}{int(time.time())}_{secrets.token_hex(6)}"
    refuse(name, server.name)
    with server.asking("a database for the rehearsal was made"):
        _sweep(server)
        database = server.client[name]
        if database.list_collection_names():
            raise ObserverError(f"there is a database {name} already", "Run again.")
        database[MARKER].insert_one({"_id": name, "of": server.name, "until": time.time() + lasts})
    at_exit = partial(_drop_at_exit, server, name)  # a probe's thread is not waited for when a run is broken off
    atexit.register(at_exit)
    try:
        yield database
    finally:
        atexit.unregister(at_exit)
        _drop(server, name)


def refuse(name: str, source: str) -> None:
    """Raise ObserverError unless `name` is that of a scratch database, and not of `source`."""
    if not _NAME.fullmatch(name) or name == source:
        raise ObserverError(
            f"{name} is not a database that the rehearsal made: it is left alone",
            f"Nothing is ever dropped whose name is not {PREFIX}… and a random end.",
        )


def _drop(server: MongoDB, name: str) -> None:
    refuse(name, server.name)
    with server.asking(f"the rehearsal's database {name} was dropped", _DROP_WITHIN):
        # A migration that was killed in the middle of a command may have left the server busy with it.
        if not poll(partial(_is_dropped, server, name), Deadline.after(_DROP_WITHIN), 0.1):
            raise ObserverError(f"the rehearsal's database {name} comes back when it is dropped", "Drop it by hand.")


def _is_dropped(server: MongoDB, name: str) -> bool:
    server.client.drop_database(name)
    return not server.client[name].list_collection_names()


def _drop_at_exit(server: MongoDB, name: str) -> None:
    with contextlib.suppress(ObserverError):
        _drop(server, name)


def _sweep(server: MongoDB) -> None:
    try:
        names = server.client.list_database_names()
    except PyMongoError:  # not every user may list them, and this is only about tidiness
        return
    for name in names:
        if not _NAME.fullmatch(name) or name == server.name:
            continue
        marker = server.client[name][MARKER].find_one({"_id": name}) or {}
        until = marker.get("until")
        if isinstance(until, float) and until < time.time():
            server.client.drop_database(name)
