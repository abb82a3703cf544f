"""A staging database on the sandbox's MongoDB and a checkout with migrations, for the tests of migrations."""

from __future__ import annotations

import os
import secrets
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest

from verification.migrations.scratch import PREFIX
from verification.probes.migrations import MigrationRehearsal, rehearse_migrations
from verification.settings.migrations import Migrations

Document = dict[str, object]

# What a project's own command looks like: the address comes from the environment, the direction from the command line.
SCRIPT = """
import os, sys, time
import pymongo
client = pymongo.MongoClient(os.environ["MONGODB_URL"], serverSelectionTimeoutMS=5000)
db = client.get_default_database()
def up():
{up}
def down():
{down}
up() if sys.argv[1] == "up" else down()
"""

# A stand-in for pymongo-migrate: its folder, its log.
TOOL = """
import datetime, os, pathlib, runpy, sys
import pymongo
db = pymongo.MongoClient(os.environ["MONGODB_URL"]).get_default_database()
modules = [runpy.run_path(str(file)) for file in sorted(pathlib.Path("migrations").glob("*.py"))]
applied = lambda one: db.pymongo_migrate.find_one({"name": one["name"], "applied": {"$ne": None}})
note = lambda one, when: db.pymongo_migrate.replace_one({"name": one["name"]}, {"name": one["name"], "applied": when}, upsert=True)
if sys.argv[1] == "upgrade":
    for one in modules:
        if not applied(one):
            one["upgrade"](db)
            note(one, datetime.datetime.now(datetime.timezone.utc))
else:
    for one in reversed(modules):
        if one["name"] == (sys.argv[2] if len(sys.argv) > 2 else None):
            break
        if applied(one):
            one["downgrade"](db)
            note(one, None)
"""


@dataclass
class Stage:
    """A source database and a checkout; `rehearse` does what the probe does."""

    client: pymongo.MongoClient[Document]
    url: str  # of the source database
    name: str
    checkout: Path
    logs: Path

    @property
    def database(self) -> pymongo.database.Database[Document]:
        return self.client[self.name]

    @property
    def left_behind(self) -> list[str]:
        """Scratch databases that are still there."""
        return [name for name in self.client.list_database_names() if name.startswith(PREFIX)]

    def script(self, up: str, down: str = "pass") -> None:
        """Write the project's own migration command."""
        bodies = {"up": textwrap.indent(up, "    "), "down": textwrap.indent(down, "    ")}
        (self.checkout / "migrate.py").write_text(SCRIPT.format(**bodies))

    def tool(self, **modules: str) -> None:
        """Write migrations of pymongo-migrate's layout, and what runs them."""
        (self.checkout / "tool.py").write_text(TOOL)
        folder = self.checkout / "migrations"
        folder.mkdir(exist_ok=True)
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(f"name = {name!r}\n{text}")

    def rehearse(self, *files: str, variables: Mapping[str, str] | None = None, **settings: Any) -> MigrationRehearsal:
        given = {
            "upgrade": "{python} migrate.py up",
            "downgrade": "{python} migrate.py down",
            "timeout": "20s",
            **settings,
        }
        return rehearse_migrations(
            self.checkout,
            Migrations.model_validate(given),
            files or ("migrations/0002_new.py",),
            {"PATH": os.environ["PATH"], "MONGODB_URL": self.url, **(variables or {})},
            self.logs,
        )


TOOL_SETTINGS: dict[str, Any] = {
    "layout": "pymongo-migrate",
    "upgrade": "{python} tool.py upgrade",
    "downgrade": ["{python}", "tool.py", "downgrade", "{previous}"],
}


@pytest.fixture
def stage(sandbox: dict[str, Any], tmp_path: Path) -> Iterator[Stage]:
    """A source database with content and users; nothing of it or of a rehearsal is left behind."""
    server = urlsplit(sandbox["environments"]["staging"]["mongodb"]).netloc
    name = f"staging_{secrets.token_hex(4)}"
    logs, checkout = tmp_path / "logs", tmp_path / "checkout"
    logs.mkdir()
    checkout.mkdir()
    with pymongo.MongoClient[Document](f"mongodb://{server}/?directConnection=true") as client:
        one = Stage(client, f"mongodb://{server}/{name}?directConnection=true", name, checkout, logs)
        one.database["content"].insert_many([{"_id": f"c{n}", "title": f"Title {n}", "year": n} for n in range(20)])
        one.database["content"].create_index("title")
        one.database["users"].insert_many([{"email": f"u{n}@bayit.example"} for n in range(5)])
        one.database["users"].create_index("email", unique=True)
        try:
            yield one
            assert one.left_behind == []
        finally:
            for database in (name, *one.left_behind):
                client.drop_database(database)
