"""The layouts in which Python projects keep MongoDB migrations: which code goes forward, and where the tool logs it.

None of the tools is imported: a layout is what their files and their logs look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verification.settings.migrations import Layout

if TYPE_CHECKING:
    from verification.clients.mongodb import Database

_BACKWARD = frozenset({"downgrade", "Backward", "backward", "rollback", "down", "revert"})


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


@dataclass(frozen=True, slots=True)
class ToolLayout:
    """One layout. `backward`: the functions and classes whose code is not run by an upgrade."""

    log: MigrationLog | None
    backward: frozenset[str] = _BACKWARD


def shape(layout: Layout) -> ToolLayout:
    """What the layout looks like."""
    return _SHAPES[layout]


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _digits(file: str) -> str:
    found = re.match(r"\d+", PurePosixPath(file).name)
    return found[0] if found else _stem(file)


def _applied_states(database: Database) -> list[str]:
    applied = database["pymongo_migrate"].find({"applied": {"$ne": None}}).sort("applied", 1)
    return [str(one["name"]) for one in applied]


def _forget_states(database: Database, names: Sequence[str], _: str) -> None:
    database["pymongo_migrate"].delete_many({"name": {"$in": list(names)}})


def _applied_datetimes(database: Database) -> list[str]:
    return [
        str(one["migration_datetime"]) for one in database["database_migrations"].find().sort("migration_datetime", 1)
    ]


def _forget_datetimes(database: Database, names: Sequence[str], _: str) -> None:
    database["database_migrations"].delete_many({"migration_datetime": {"$in": list(names)}})


def _applied_pointers(database: Database) -> list[str]:
    current = database["migrations_log"].find_one({"is_current": True})
    # Its files run in the order of their names, and only the last one is pointed at.
    logged = {str(one["name"]) for one in database["migrations_log"].find()}
    return sorted(name for name in logged if current is not None and name <= str(current["name"]))


def _forget_pointers(database: Database, _: Sequence[str], previous: str) -> None:
    log = database["migrations_log"]
    log.update_many({}, {"$set": {"is_current": False}})
    if previous:
        latest = log.find_one({"name": previous}, sort=[("_id", -1)])
        if latest is not None:
            log.update_one({"_id": latest["_id"]}, {"$set": {"is_current": True}})


_SHAPES: dict[Layout, ToolLayout] = {
    "pymongo-migrate": ToolLayout(MigrationLog("pymongo_migrate", _stem, _applied_states, _forget_states)),
    "mongodb-migrations": ToolLayout(
        MigrationLog("database_migrations", _digits, _applied_datetimes, _forget_datetimes)
    ),
    "beanie": ToolLayout(
        MigrationLog("migrations_log", lambda file: PurePosixPath(file).name, _applied_pointers, _forget_pointers)
    ),
    "command": ToolLayout(None),
}
