"""`[migrations]`: how the database is migrated, what of it has been approved, and how it is backed up."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from verification.settings.checkout import Command, Inside
from verification.settings.tables import Table, Text
from verification.settings.units import Seconds

Layout = Literal["pymongo-migrate", "mongodb-migrations", "beanie", "command"]
Dialect = Literal["postgres", "mysql", "sqlite", "tsql", "oracle", "bigquery"]
BsonType = Literal["string", "number", "int", "long", "double", "bool", "date", "objectId", "array", "object"]

PLACEHOLDERS = frozenset({"url", "database", "previous", "count", "python"})


def _reference(text: str) -> str:
    if not re.fullmatch(r"\$[A-Z][A-Z0-9_]*", text):
        raise ValueError(
            'expected the name of an environment variable, such as "$MONGODB_URL": the address is a secret'
        )
    return text


def _template(text: str) -> str:
    unknown = set(re.findall(r"\{(\w*)\}", text)) - PLACEHOLDERS
    if unknown:
        raise ValueError(f"{{{min(unknown)}}} is none of {', '.join(f'{{{name}}}' for name in sorted(PLACEHOLDERS))}")
    return text


Reference = Annotated[str, AfterValidator(_reference)]
Template = Annotated[Text, AfterValidator(_template)]
CommandTemplate = Annotated[Command, AfterValidator(lambda words: tuple(map(_template, words)))]


class Approval(Table):
    """`[[migrations.approved]]`: a destructive operation that somebody has looked at. `file` may be a glob."""

    file: Text
    operation: Text
    reason: Text


class Read(Table):
    """`[[migrations.reads]]`: what the revision before this one reads; every document must still have the fields."""

    collection: Text
    fields: dict[str, BsonType] = Field(min_length=1)
    at_least: int = Field(default=1, ge=0)


class Backup(Table):
    """`[migrations.backup]`: the database to back up before it is migrated, and the folder that keeps the backups."""

    database: Reference
    database_name: Text | None = None
    folder: Text
    largest_mb: float = Field(default=2048, gt=0)
    timeout: Seconds = Field(default=1800, gt=0)


class Migrations(Table):
    """`[migrations]`: how they are run. Which files they are stands in `[release]`; paths are relative to the checkout.

    `upgrade` and `downgrade` are run in `directory`. In them and in `environment`, `{url}` is the address of the
    rehearsal's database, `{database}` its name, `{previous}` the migration that was applied last before this release
    (an argument that is nothing but that is left out when there is none), `{count}` how many migrations the release
    has, and `{python}` this suite's interpreter. `database` is the address of the one that is copied.
    """

    layout: Layout = "command"
    directory: Inside = "."
    upgrade: CommandTemplate | None = None
    downgrade: CommandTemplate | None = None
    environment: dict[str, Template] = {"MONGODB_URL": "{url}"}
    database: Reference = "$MONGODB_URL"
    database_name: Text | None = None
    timeout: Seconds = Field(default=600, gt=0)
    largest_copy_mb: float = Field(default=512, gt=0)
    sql_dialect: Dialect = "postgres"
    rollback_document: Inside | None = None
    approved: list[Approval] = []
    reads: list[Read] = []
    backup: Backup | None = None

    @model_validator(mode="after")
    def _downgrade_follows_upgrade(self) -> Migrations:
        if self.downgrade and not self.upgrade:
            raise ValueError("downgrade is rehearsed after upgrade, which is missing")
        return self
