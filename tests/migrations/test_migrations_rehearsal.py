"""Rehearsals on a copy, with real commands against a real server: what is found."""

from __future__ import annotations

from typing import Any

from tests.migrations.migration_stage import TOOL_SETTINGS, Stage, stage
from tests.migrations.rehearsed import GOOD_DOWN, GOOD_UP, contents, problem, refused
from verification.deadline import now
from verification.errors import NotAsked, ObserverError, ServiceError
from verification.probes.migrations import MigrationRehearsal

__all__ = ["stage"]


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
