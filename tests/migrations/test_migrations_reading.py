"""Migrations that are read and not run: what counts as destructive, what cannot be read, what is approved."""

from __future__ import annotations

import pytest

from verification.errors import ObserverError, ServiceError
from verification.migrations.layouts import BACKWARD
from verification.migrations.mongo_reading import read_python
from verification.migrations.sql_reading import read_sql
from verification.probes.migrations import read_migrations
from verification.settings.migrations import Migrations


def upgrade(code: str) -> str:
    return f"import pymongo\nFILTER = {{}}\nKNOWN = {{'a': 1}}\ndef upgrade(db):\n    {code}\n"


def operations(code: str) -> list[str]:
    return [one.operation for one in read_python(upgrade(code), "m.py", BACKWARD).findings]


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("db.users.drop()", "drop"),
        ("db.drop_collection('users')", "drop_collection"),
        ("db.client.drop_database('x')", "drop_database"),
        ("db.users.drop_index('a_1')", "drop_index"),
        ("db.users.drop_indexes()", "drop_index"),
        ("db.users.rename('people')", "rename"),
        ("db.users.delete_many({})", "delete without filter"),
        ("db.users.delete_many(filter={})", "delete without filter"),
        ("db.users.delete_many(FILTER)", "delete without filter"),
        ("db.users.update_many({}, {'$set': {'a': 1}})", "update without filter"),
        ("db.users.update({}, {'$set': {'a': 1}})", "update without filter"),
        ("db.users.replace_one({}, {})", "update without filter"),
        ("db.users.update_many(KNOWN, {'$unset': {'b': 1}})", "$unset"),
        ("db.users.update_many(KNOWN, {'$rename': {'b': 'c'}})", "rename"),
        ("db.users.aggregate([{'$out': 'people'}])", "$out"),
        ("db.users.bulk_write([pymongo.DeleteMany({})])", "delete without filter"),
        ("db.users.bulk_write([pymongo.UpdateMany({}, KNOWN)])", "update without filter"),
        ("db.command('dropDatabase')", "drop_database"),
        ("db.command({'drop': 'users'})", "drop"),
        ("getattr(db.users, 'drop')()", "drop"),
        ("User.find_all().delete()", "delete without filter"),
        ("User.delete_all()", "delete without filter"),
    ],
)
def test_a_destructive_operation_is_found(code: str, operation: str) -> None:
    assert operations(code) == [operation]


@pytest.mark.parametrize(
    "code",
    [
        "db.users.create_index('a')",
        "db.users.delete_many({'a': {'$exists': False}})",
        "db.users.delete_many(KNOWN)",
        "db.users.update_many({'b': None}, {'$set': {'b': 1}})",
        "db.users.insert_one({'name': 'drop'})",
        "db.command('collMod', 'users')",
        "counts = {}; counts.update({}); [1].remove(1)",
        "User.find(User.age < 1).delete()",
        "print('delete_many({})')",
    ],
)
def test_an_operation_with_a_filter_or_without_harm_is_not(code: str) -> None:
    read = read_python(upgrade(code), "m.py", BACKWARD)
    assert read.findings == ()
    assert read.unreadable == ()


@pytest.mark.parametrize(
    "code",
    [
        "db.users.delete_many(compute())",
        "db.users.delete_many({**compute()})",
        "getattr(db.users, name)()",
        "eval('db.users')",
        "db.command(compute())",
    ],
)
def test_what_is_computed_cannot_be_read_and_is_said_so(code: str) -> None:
    assert len(read_python(upgrade(code), "m.py", BACKWARD).unreadable) == 1


@pytest.mark.parametrize(
    "text",
    [
        "def downgrade(db):\n    db.users.drop()",
        "class Migration:\n    def downgrade(self):\n        self.db.users.drop()",
        "class Backward:\n    async def back(self, session):\n        await User.delete_all()",
    ],
)
def test_a_downgrade_may_drop_what_the_upgrade_made(text: str) -> None:
    assert read_python(text, "m.py", BACKWARD).findings == ()


def test_helpers_and_module_code_are_read_too() -> None:
    text = "def helper(db):\n    db.users.drop()\nclass Forward:\n    async def go(self, s):\n        await User.delete_all()\n"
    assert [one.line for one in read_python(text, "m.py", BACKWARD).findings] == [2, 5]


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("DROP TABLE users", "DROP TABLE"),
        ("drop index if exists i", "DROP INDEX"),
        ("ALTER TABLE users DROP COLUMN age", "DROP COLUMN"),
        ("ALTER TABLE users RENAME COLUMN a TO b", "RENAME"),
        ("ALTER TABLE users RENAME TO people", "RENAME"),
        ("TRUNCATE users", "TRUNCATE"),
        ("DELETE FROM users", "DELETE without WHERE"),
        ("DELETE FROM users WHERE 1 = 1", "DELETE without WHERE"),
        ("UPDATE users SET a = 1", "UPDATE without WHERE"),
        ("WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone", "DELETE without WHERE"),
    ],
)
def test_a_destructive_statement_is_found_on_its_line(statement: str, operation: str) -> None:
    read = read_sql(f"-- DROP TABLE in words\nCREATE TABLE a (b int);\n\n{statement};\n", "m.sql", "postgres")

    assert [(one.line, one.operation) for one in read.findings] == [(4, operation)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM users WHERE id = 3",
        "UPDATE users SET a = 1 WHERE a IS NULL",
        "ALTER TABLE users ADD COLUMN a int",
        "INSERT INTO notes VALUES ('DROP TABLE users; DELETE FROM users')",
        "COMMENT ON TABLE users IS 'x'",
        "",
    ],
)
def test_a_harmless_statement_is_not(statement: str) -> None:
    read = read_sql(statement, "m.sql", "postgres")
    assert read.findings == ()
    assert read.unreadable == ()


@pytest.mark.parametrize("statement", ["DO $$ BEGIN DROP TABLE users; END $$", "SELEC * FRM users", "((("])
def test_sql_that_is_not_understood_is_said_so(statement: str) -> None:
    assert len(read_sql(statement, "m.sql", "postgres").unreadable) == 1


def test_findings_fail_and_what_cannot_be_read_is_inconclusive() -> None:
    settings = Migrations()
    both = read_migrations({"m.py": upgrade("db.users.drop(); eval('x')")}, settings, "git")
    unclear = read_migrations({"m.py": upgrade("eval('x')"), "m.js": "db.users.drop()"}, settings, "git")

    with pytest.raises(ServiceError, match=r"m\.py:5: drop: db\.users\.drop\(\)"):
        both.destructive.must_be(0)
    with pytest.raises(ObserverError, match=r"(?s)m\.py:5.*m\.js:1: \.js files are not understood"):
        unclear.destructive.must_be(0)


def test_an_approved_finding_passes_with_its_reason_and_only_where_it_was_approved() -> None:
    approved = [
        {"file": "migrations/00*.py", "operation": "drop", "reason": "empty since May"},
        {"file": "migrations/0002.py", "operation": "unreadable", "reason": "looked at by two people"},
    ]
    settings = Migrations.model_validate({"approved": approved})

    good = read_migrations({"migrations/0002.py": upgrade("db.old.drop(); eval('x')")}, settings, "git")
    other = read_migrations({"migrations/0102.py": upgrade("db.old.drop()")}, settings, "git")

    good.destructive.must_be(0)
    assert "empty since May" in good.destructive.note
    with pytest.raises(ServiceError):
        other.destructive.must_be(0)


def test_a_migration_that_is_no_python_fails() -> None:
    with pytest.raises(ServiceError, match=r"m\.py:1: this migration is no Python"):
        read_migrations({"m.py": "def upgrade(db:"}, Migrations(), "git")


def test_a_release_without_migrations_destroys_nothing_and_says_so() -> None:
    reading = read_migrations({}, Migrations(), "git")

    reading.destructive.must_be(0)
    assert reading.destructive.note == "this release has no migrations"
