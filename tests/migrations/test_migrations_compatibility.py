"""Whether the previous revision can live with what a migration leaves, found in rehearsals on a copy."""

from __future__ import annotations

from tests.migrations.migration_stage import Stage, stage
from tests.migrations.rehearsed import problem

__all__ = ["stage"]


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
