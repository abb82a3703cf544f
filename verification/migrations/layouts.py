"""The layouts in which Python projects keep MongoDB migrations: which code goes forward, and where the tool logs it.

None of the tools is imported: a layout is what their files and their logs look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verification.settings.migrations import Layout

if TYPE_CHECKING:
    from verification.clients.mongodb import Database

# Functions and classes that an upgrade does not run.
BACKWARD = frozenset({"downgrade", "Backward", "backward", "rollback", "down", "revert"})


@dataclass(frozen=True, slots=True)
class MigrationLog:
    """The collection in which a tool notes what it has applied, and how to read and rewrite it.

    `applied` answers with the names in the order of their application. `forget` makes the tool believe that it has not
    applied `names`, of which the first is the earliest.
    """

    collection: str
    name_of: Callable[[str], str]  # a migration's file -> how the log calls it
    applied: Callable[[Database], list[str]]
    forget: Callable[[Database, Sequence[str], str], None]


def _name(file: str) -> str:
    return PurePosixPath(file).name


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _digits(file: str) -> str:
    found = re.match(r"\d+", _name(file))
    return found[0] if found else _stem(file)


def _log(
    collection: str, name_of: Callable[[str], str], name: str, order: str, only: Mapping[str, object] | None = None
) -> MigrationLog:
    """A log with a document for each migration: its `name` stands in that field, `order` is the time of it."""

    def applied(database: Database) -> list[str]:
        return [str(entry[name]) for entry in database[collection].find(only or {}).sort(order, 1)]

    def forget(database: Database, names: Sequence[str], _: str) -> None:
        database[collection].delete_many({name: {"$in": list(names)}})

    return MigrationLog(collection, name_of, applied, forget)


def _applied_pointers(database: Database) -> list[str]:
    current = database["migrations_log"].find_one({"is_current": True})
    # Its files run in the order of their names, and only the last one is pointed at.
    logged = {str(entry["name"]) for entry in database["migrations_log"].find()}
    return sorted(name for name in logged if current is not None and name <= str(current["name"]))


def _forget_pointers(database: Database, _: Sequence[str], previous: str) -> None:
    log = database["migrations_log"]
    log.update_many({}, {"$set": {"is_current": False}})
    if previous:
        latest = log.find_one({"name": previous}, sort=[("_id", -1)])
        if latest is not None:
            log.update_one({"_id": latest["_id"]}, {"$set": {"is_current": True}})


# The log of each layout's tool; None where no tool keeps one.
LOGS: Mapping[Layout, MigrationLog | None] = {
    "pymongo-migrate": _log("pymongo_migrate", _stem, "name", "applied", {"applied": {"$ne": None}}),
    "mongodb-migrations": _log("database_migrations", _digits, "migration_datetime", "migration_datetime"),
    "beanie": MigrationLog("migrations_log", _name, _applied_pointers, _forget_pointers),
    "command": None,
}
