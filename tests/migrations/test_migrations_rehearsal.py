"""Rehearsals on a copy, with real commands against a real server: what is found, and what is never touched."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.migrations.migration_stage import TOOL_SETTINGS, Stage, stage
from tests.source_tree.clone import alive, until
from verification.deadline import now
from verification.errors import NotAsked, ObserverError, ServiceError, SettingsError, VerificationError
from verification.migrations.scratch import MARKER, PREFIX
from verification.migrations.snapshot import DatabaseSnapshot, take
from verification.probes.migrations import MigrationRehearsal
from verification.redaction import redact
from verification.verdict import Measurement

__all__ = ["stage"]

GOOD_UP = (
    'db.content.update_many({"kind": {"$exists": False}}, {"$set": {"kind": "film"}}); db.content.create_index("kind")'
)
GOOD_DOWN = 'db.content.update_many({}, {"$unset": {"kind": 1}}); db.content.drop_index("kind_1")'


def contents(stage: Stage) -> DatabaseSnapshot:
    return take(stage.database, frozenset(), now())


def problem(measured: Measurement) -> VerificationError:
    assert measured.problem is not None, measured
    return measured.problem


def refused(rehearsal: MigrationRehearsal, kind: type[VerificationError], words: str) -> VerificationError:
    found = problem(rehearsal.repeat)
    assert type(found) is kind
    assert re.search(words, found.cause), found.cause
    return found


def test_a_good_migration_is_found_idempotent_reversible_and_compatible(stage: Stage) -> None:
    stage.script(GOOD_UP, GOOD_DOWN)
    before = contents(stage)

    rehearsal = stage.rehearse()

    rehearsal.repeat.must_be(0)
    rehearsal.way_back.must_be("restored")
    rehearsal.incompatibilities.must_be(0)
    assert rehearsal.repeat.samples == 25
    assert before.differences(contents(stage)) == ()


def test_what_a_second_run_changes_is_named(stage: Stage) -> None:
    stage.script(
        'db.content.update_many({}, {"$inc": {"year": 1}})', 'db.content.update_many({}, {"$inc": {"year": -2}})'
    )

    rehearsal = stage.rehearse()

    found = problem(rehearsal.repeat)
    assert isinstance(found, ServiceError)
    assert "content: some of its 20 documents are different" in found.cause
    rehearsal.way_back.must_be("restored")


def test_a_migration_that_adds_an_index_of_the_same_name_twice_differently_fails_the_second_run(stage: Stage) -> None:
    stage.script(
        'n = db.command("count", "jobs")["n"]; db.jobs.insert_one({"n": n}); '
        'db.content.create_index([("year", 1 if n else -1)], name="by_year")'
    )

    refused(stage.rehearse(), ServiceError, "the upgrade failed on the copy")


def test_a_downgrade_that_loses_something_does_not_restore(stage: Stage) -> None:
    stage.script('db.content.update_many({}, {"$unset": {"title": 1}})', "pass")

    rehearsal = stage.rehearse()

    rehearsal.repeat.must_be(0)
    found = problem(rehearsal.way_back)
    assert isinstance(found, ServiceError)
    assert rehearsal.way_back.value == "not restored"
    lost = problem(rehearsal.incompatibilities)
    assert isinstance(lost, ServiceError)
    assert "content.title is gone" in lost.cause


def test_a_downgrade_that_reorders_fields_still_restores(stage: Stage) -> None:
    stage.script(
        'db.content.update_many({}, {"$rename": {"title": "name"}})',
        'db.content.update_many({}, {"$rename": {"name": "title"}})',
    )

    stage.rehearse().way_back.must_be("restored")


def test_without_a_downgrade_there_is_no_way_back_until_a_document_names_the_migration(stage: Stage) -> None:
    stage.script(GOOD_UP)
    rehearse: dict[str, Any] = {"downgrade": None, "rollback_document": "ROLLBACK.md"}

    assert isinstance(problem(stage.rehearse(downgrade=None).way_back), NotAsked)
    missing = stage.rehearse(**rehearse)
    assert "cannot be read" in problem(missing.way_back).cause
    (stage.checkout / "ROLLBACK.md").write_text("## 0001_old\nDrop the index.")
    other = stage.rehearse(**rehearse)
    assert "does not name migrations/0002_new.py" in problem(other.way_back).cause
    (stage.checkout / "ROLLBACK.md").write_text("## 0002_new\nUnset kind.")
    stage.rehearse(**rehearse).way_back.must_be("documented")


def test_a_release_without_migrations_needs_no_rehearsal_and_says_so(stage: Stage) -> None:
    nothing = MigrationRehearsal((), None, None)

    nothing.repeat.must_be(0)
    nothing.way_back.must_be("restored")
    assert nothing.repeat.note == "this release has no migrations"


# --- tools that keep a log -------------------------------------------------------------------------------------------


OLD = 'def upgrade(db): db.content.update_many({"lang": {"$exists": False}}, {"$set": {"lang": "he"}})\ndef downgrade(db): db.content.update_many({}, {"$unset": {"lang": 1}})\n'
NEW = f"def upgrade(db):\n    {GOOD_UP}\ndef downgrade(db):\n    {GOOD_DOWN}\n"
INCREMENT = 'def upgrade(db): db.content.update_many({}, {"$inc": {"year": 1}})\ndef downgrade(db): db.content.update_many({}, {"$inc": {"year": -1}})\n'


def test_a_log_of_applied_migrations_does_not_hide_that_one_is_not_idempotent(stage: Stage) -> None:
    stage.tool(**{"0001_old": OLD, "0002_new": INCREMENT})

    rehearsal = stage.rehearse(**TOOL_SETTINGS)

    assert "are not idempotent" in problem(rehearsal.repeat).cause


def test_only_the_migrations_of_the_release_are_taken_back(stage: Stage) -> None:
    stage.tool(**{"0001_old": INCREMENT, "0002_new": NEW})
    stage.database["pymongo_migrate"].insert_one({"name": "0001_old", "applied": now()})

    rehearsal = stage.rehearse(**TOOL_SETTINGS)

    rehearsal.repeat.must_be(0)
    rehearsal.way_back.must_be("restored")
    rehearsal.incompatibilities.must_be(0)


def test_migrations_that_staging_has_already_are_rehearsed_there_and_back(stage: Stage) -> None:
    stage.tool(**{"0002_new": NEW})
    stage.database["pymongo_migrate"].insert_one({"name": "0002_new", "applied": now()})
    stage.database["content"].update_many({}, {"$set": {"kind": "film"}})
    stage.database["content"].create_index("kind")

    rehearsal = stage.rehearse(**TOOL_SETTINGS)

    rehearsal.repeat.must_be(0)
    rehearsal.way_back.must_be("restored")
    rehearsal.incompatibilities.must_be(0)
    assert "which had been migrated already" in rehearsal.repeat.note


def test_an_incompatibility_is_found_where_staging_has_been_migrated_already(stage: Stage) -> None:
    stage.script(
        'db.content.update_many({"title": {"$exists": True}}, {"$rename": {"title": "name"}})',
        'db.content.update_many({}, {"$rename": {"name": "title"}})',
    )
    stage.database["content"].update_many({}, {"$rename": {"title": "name"}})

    assert "content.title is gone" in problem(stage.rehearse().incompatibilities).cause


def test_what_was_before_is_unknown_where_staging_has_been_migrated_and_nothing_goes_back(stage: Stage) -> None:
    stage.script('db.content.update_many({}, {"$set": {"kind": "film"}})')
    stage.database["content"].update_many({}, {"$set": {"kind": "film"}})

    rehearsal = stage.rehearse(downgrade=None)

    rehearsal.repeat.must_be(0)
    assert isinstance(problem(rehearsal.incompatibilities), NotAsked)
    idle = stage.rehearse()
    assert "the downgrade changed nothing" in problem(idle.way_back).cause
    assert isinstance(problem(idle.incompatibilities), NotAsked)


def test_a_command_that_applies_something_else_than_the_release_proves_nothing(stage: Stage) -> None:
    stage.tool(**{"0001_old": OLD})

    refused(stage.rehearse(**TOOL_SETTINGS), ObserverError, "does not tell of 0002_new")


# --- bad migrations --------------------------------------------------------------------------------------------------


def test_a_migration_that_raises_half_way_fails_with_its_last_words(stage: Stage) -> None:
    stage.script('db.content.delete_one({"_id": "c1"}); raise RuntimeError("half way")')

    found = refused(stage.rehearse(), ServiceError, "RuntimeError: half way")

    assert "migration-1-upgrade.log" in found.remedy
    assert stage.database["content"].count_documents({}) == 20


def test_a_migration_that_hangs_is_ended_with_all_it_started(stage: Stage) -> None:
    children = stage.checkout / "pids"
    stage.script(
        "import subprocess\n"
        f"children = [subprocess.Popen(['sleep', '600'], start_new_session=new) for new in (False, True)]\n"
        f"open({str(children)!r}, 'w').write(' '.join(str(one.pid) for one in [*children]))\n"
        "time.sleep(600)"
    )

    refused(stage.rehearse(timeout="4s"), ObserverError, "had not ended after 4s")

    for pid in children.read_text().split():
        assert until(lambda: not alive(int(pid)))  # noqa: B023  (called at once)


@pytest.mark.parametrize(
    "drop",
    [
        "client.drop_database(db.name)",
        "[db.drop_collection(name) for name in db.list_collection_names()]",
        f"db[{MARKER!r}].rename('other')",
    ],
)
def test_a_migration_that_drops_or_renames_the_copy_is_cleaned_up_after(stage: Stage, drop: str) -> None:
    stage.script(drop)

    rehearsal = stage.rehearse()

    assert stage.left_behind == []
    assert stage.database["content"].count_documents({}) == 20
    assert rehearsal.repeat.problem or rehearsal.way_back.problem


@pytest.mark.parametrize(
    ("reach", "command"),
    [
        ('client["{source}"].content.delete_many({{}})', "delete on {source}.content"),
        ('client.drop_database("{source}")', "dropdatabase on {source}"),
        (
            'db.content.aggregate([{{"$out": {{"db": "{source}", "coll": "content"}}}}])',
            "aggregate on {source}.content",
        ),
        (
            'client.admin.command("renameCollection", db.name + ".content", to="{source}.x")',
            "renamecollection on {source}.x",
        ),
        (
            'client["{source}"].content.with_options(write_concern=pymongo.WriteConcern(0)).delete_many({{}}); client.close()',
            "delete on {source}.content",
        ),
    ],
)
def test_a_migration_that_names_another_database_does_not_reach_it_and_fails(
    stage: Stage, reach: str, command: str
) -> None:
    stage.script(reach.format(source=stage.name))
    before = contents(stage)

    found = refused(stage.rehearse(), ServiceError, "does not keep to the database it is given")

    assert command.format(source=stage.name) in found.cause
    assert before.differences(contents(stage)) == ()


def test_a_migration_that_reads_another_database_cannot_be_rehearsed(stage: Stage) -> None:
    stage.script('client["elsewhere"].settings.find_one()')

    refused(stage.rehearse(), ObserverError, "find on elsewhere.settings was refused")


def test_a_migration_that_connects_to_an_address_of_its_own_is_noticed(stage: Stage) -> None:
    stage.script(f'pymongo.MongoClient({stage.url!r}).get_default_database().content.delete_one({{"_id": "c3"}})')

    found = refused(stage.rehearse(), ServiceError, "never asked for the database that it was given")

    assert "content: had 20 documents and has 19" in found.cause


def test_a_command_that_does_nothing_proves_nothing(stage: Stage) -> None:
    stage.script("pass")
    refused(stage.rehearse(), ObserverError, "never asked for the database")
    stage.script("db.content.find_one()")
    refused(stage.rehearse(), ObserverError, "wrote nothing: nothing was rehearsed")


def test_the_migration_is_given_no_other_way_to_a_database(stage: Stage) -> None:
    seen = stage.checkout / "seen"
    stage.script(f"open({str(seen)!r}, 'w').write(repr(dict(os.environ)))")
    host = stage.url.split("/")[2]

    stage.rehearse(
        variables={
            "MONGO_URI": "anything", "DATABASE_URL": f"mongodb://{host}/x", "CACHE_HOST": host, "HARMLESS": "kept",
        },
        environment={"MONGODB_URL": "{url}", "DB_NAME": "{database}"},
    )  # fmt: skip

    text = seen.read_text()
    assert "kept" in text
    assert f"'DB_NAME': '{PREFIX}" in text
    assert host not in text
    assert "MONGO_URI" not in text


def test_no_password_of_an_address_is_shown(stage: Stage) -> None:
    stage.script("print(os.environ['MONGODB_URL']); raise SystemExit(3)")
    with_password = stage.url.replace("mongodb://", "mongodb://dana:not-for-you-7@")

    rehearsal = stage.rehearse(variables={"MONGODB_URL": with_password})

    shown = redact(str(problem(rehearsal.repeat)))
    logs = "".join(file.read_text() for file in stage.logs.iterdir())
    assert "not-for-you-7" not in shown + logs


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"upgrade": "no-such-program-here up"}, "there is no program no-such-program-here"),
        ({"directory": "nowhere"}, "there is no directory"),
    ],
)
def test_a_command_that_cannot_be_started_is_no_fault_of_the_release(
    stage: Stage, settings: dict[str, Any], words: str
) -> None:
    stage.script(GOOD_UP)

    refused(stage.rehearse(**settings), ObserverError, words)


# --- the server ------------------------------------------------------------------------------------------------------


def test_a_database_too_large_to_copy_is_not_rehearsed_in_part(stage: Stage) -> None:
    stage.script(GOOD_UP)
    stage.database["content"].insert_one({"blob": b"x" * 2_000_000})

    found = refused(stage.rehearse(largest_copy_mb=1), NotAsked, "holds 2 MB, more than the 1 MB")

    assert "largest_copy_mb" in found.remedy


def test_a_server_that_cannot_be_reached_leaves_it_unknown(stage: Stage, sandbox: dict[str, object]) -> None:
    stage.script(GOOD_UP)

    rehearsal = stage.rehearse(variables={"MONGODB_URL": "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=300"})

    assert isinstance(problem(rehearsal.repeat), ObserverError)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mongodb://127.0.0.1/", "names no database"),
        ("http://127.0.0.1/x", "cannot be used"),
        ("mongodb://u:p@ss@h/x", "cannot be used"),
        ("", "is not set"),
    ],
)
def test_an_address_that_is_none_is_named(stage: Stage, address: str, words: str) -> None:
    stage.script(GOOD_UP)

    refused(stage.rehearse(variables={"MONGODB_URL": address}), SettingsError, words)


# --- compatibility ---------------------------------------------------------------------------------------------------


def test_a_changed_type_a_lost_collection_and_an_unreadable_field_are_incompatible(stage: Stage) -> None:
    stage.script(
        'db.content.update_many({}, [{"$set": {"year": {"$toString": "$year"}}}]); db.users.drop()',
    )

    rehearsal = stage.rehearse(
        reads=[
            {"collection": "content", "fields": {"genre": "string"}},
            {"collection": "titles", "fields": {"a": "int"}},
        ]
    )

    cause = problem(rehearsal.incompatibilities).cause
    assert "content.year was number, and is string" in cause
    assert "users is gone" in cause
    assert "content.genre is no string in 20 of 20 documents" in cause
    assert "titles has 0 documents" in cause


def test_a_validator_that_refuses_what_the_previous_revision_writes_is_incompatible(stage: Stage) -> None:
    stage.script(
        'db.content.update_many({"kind": None}, {"$set": {"kind": "film"}}); '
        'db.command("collMod", "content", validator={"kind": {"$type": "string"}})'
    )

    cause = problem(stage.rehearse().incompatibilities).cause

    assert "content: 20 documents as the previous revision writes them would be refused by the new validator" in cause


def test_a_migrated_document_that_the_validator_from_before_refuses_is_incompatible(stage: Stage) -> None:
    stage.database.command("collMod", "content", validator={"year": {"$lt": 100}})
    stage.script(
        'db.command("collMod", "content", validator={}); db.content.update_many({"_id": "c1"}, {"$set": {"year": 1999}})'
    )

    cause = problem(stage.rehearse().incompatibilities).cause

    assert "content: 1 documents as migrated would be refused by the validator from before" in cause
