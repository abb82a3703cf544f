"""The logs of the tools, as they write them: read, and put back to before a release."""

from __future__ import annotations

import pytest

from tests.migrations.migration_stage import Document, Stage, stage
from verification.deadline import now
from verification.migrations.layouts import LOGS
from verification.settings.migrations import Layout

__all__ = ["stage"]

FILES = ["db/20260101_old.py", "db/20260102_new.py", "db/20260103_newer.py"]


@pytest.mark.parametrize(
    ("layout", "collection", "entries"),
    [
        ("pymongo-migrate", "pymongo_migrate", [
            {"name": "20260101_old", "applied": now()}, {"name": "20260102_new", "applied": now()},
            {"name": "20260103_newer", "applied": None},
        ]),
        ("mongodb-migrations", "database_migrations", [
            {"migration_datetime": "20260102", "created_at": now()}, {"migration_datetime": "20260101", "created_at": now()},
        ]),
        ("beanie", "migrations_log", [
            {"name": "20260101_old.py", "is_current": False, "ts": now()},
            {"name": "20260103_newer.py", "is_current": False, "ts": now()},  # applied once, and taken back
            {"name": "20260102_new.py", "is_current": True, "ts": now()},
        ]),
    ],
    ids=["pymongo-migrate", "mongodb-migrations", "beanie"],
)  # fmt: skip
def test_a_log_is_read_and_the_release_taken_out_of_it(
    stage: Stage, layout: Layout, collection: str, entries: list[Document]
) -> None:
    log = LOGS[layout]
    assert log is not None
    old, new, newer = map(log.name_of, FILES)
    stage.database[collection].insert_many([dict(one) for one in entries])

    assert log.collection == collection
    assert log.applied(stage.database) == [old, new]
    log.forget(stage.database, [new, newer], old)
    assert log.applied(stage.database) == [old]
    log.forget(stage.database, [old, new, newer], "")
    assert log.applied(stage.database) == []


def test_a_plain_command_keeps_no_log() -> None:
    assert LOGS["command"] is None
