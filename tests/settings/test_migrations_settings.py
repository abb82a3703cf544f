"""`[migrations]`: mistakes are found when the file is read, not when a migration runs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from verification.clients.mongodb import MongoDB
from verification.migrations.running import scrubbed
from verification.settings.migrations import Migrations


def test_what_a_project_writes_is_understood() -> None:
    settings = Migrations.model_validate(
        {
            "layout": "pymongo-migrate",
            "directory": "backend",
            "upgrade": "poetry run pymongo-migrate upgrade -m migrations",
            "downgrade": ["poetry", "run", "pymongo-migrate", "downgrade", "-m", "migrations", "{previous}"],
            "environment": {"PYMONGO_MIGRATE_URI": "{url}", "PYMONGO_MIGRATE_DATABASE": "{database}"},
            "timeout": "5m",
            "backup": {"database": "$PRODUCTION_MONGODB_URL", "folder": "/backup"},
        }
    )

    assert settings.upgrade == ("poetry", "run", "pymongo-migrate", "upgrade", "-m", "migrations")
    assert settings.timeout == 300


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"database": "mongodb://user:secret@host/x"}, "the address is a secret"),
        ({"upgrade": "migrate {uri}"}, "{uri} is none of"),
        ({"environment": {"A": "{nothing}"}}, "{nothing} is none of"),
        ({"downgrade": "migrate down"}, "upgrade, which is missing"),
        ({"layout": "alembic"}, "pymongo-migrate"),
        ({"directory": "../other"}, "inside the checkout"),
        ({"approved": [{"file": "a.py", "operation": "drop"}]}, "reason"),
        ({"upgrade": "migrate && echo done"}, "without a shell"),
        ({"timeout": 30}, "duration"),
    ],
)
def test_a_mistake_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Migrations.model_validate(table)
    assert words in str(refusal.value)
    assert "secret@host" not in words


@pytest.mark.parametrize(
    ("address", "behind"),
    [
        ("mongodb://h1:1,h2:2/x?replicaSet=rs&tls=true&retryWrites=true", "mongodb://127.0.0.1:9/t?retrywrites=true&directconnection=true"),
        ("mongodb://u:p%40@h/x", "mongodb://u:p%40@127.0.0.1:9/t?directconnection=true&authsource=x"),
        ("mongodb://u:p@h/x?authSource=admin", "mongodb://u:p@127.0.0.1:9/t?directconnection=true&authsource=admin"),
        ("mongodb://u:p@h", "mongodb://u:p@127.0.0.1:9/t?directconnection=true&authsource=admin"),
    ],
)  # fmt: skip
def test_the_user_is_known_behind_the_guard_where_he_was_known_before(address: str, behind: str) -> None:
    with MongoDB(address, "x") as server:
        assert server.address_at("127.0.0.1", 9, "t") == behind


def test_variables_that_lead_to_a_database_are_withheld() -> None:
    variables = {
        "PATH": "/bin", "MONGO_URI": "x", "mongodb_url": "x", "CONFIG": '{"db": "mongodb+srv://a/b"}', "DB_HOST": "db.example.com:27017",
    }  # fmt: skip

    assert scrubbed(variables, ["db.example.com"]) == {"PATH": "/bin"}
