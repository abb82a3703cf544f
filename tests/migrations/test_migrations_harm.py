"""Rehearsals of bad migrations, or with a bad server: what is said of them, and what is never touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.migrations.migration_stage import Stage, stage
from tests.migrations.rehearsed import GOOD_UP, contents, problem, refused
from tests.source_tree.clone import alive, until
from verification.errors import NotAsked, ObserverError, ServiceError, SettingsError
from verification.migrations.scratch import MARKER, PREFIX
from verification.redaction import redact

__all__ = ["stage"]


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
