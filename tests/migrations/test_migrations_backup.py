"""Backups: in mongodump's format, restored and compared before anyone relies on them."""

from __future__ import annotations

import os
import stat
import sys
from datetime import timedelta
from pathlib import Path

import bson
import pytest

from tests.migrations.migration_stage import Stage, stage
from verification.deadline import now
from verification.errors import NotAsked, ObserverError, ServiceError
from verification.migrations import dump
from verification.probes.migrations import BackupTrial, backup_trial
from verification.settings.migrations import Migrations

__all__ = ["stage"]


def back_up(stage: Stage, path: str | None = None, **settings: object) -> BackupTrial:
    folder = stage.checkout / "backups"
    given = {"backup": {"database": "$MONGODB_URL", "folder": str(folder), "timeout": "20s", **settings}}
    variables = {"PATH": path or os.environ["PATH"], "MONGODB_URL": stage.url}
    return backup_trial(Migrations.model_validate(given), variables, stage.logs)


def test_a_backup_is_kept_private_and_restores_to_the_same(stage: Stage) -> None:
    db = stage.database
    db.create_collection("strict", validator={"n": {"$gt": 0}})
    db["strict"].insert_one({"n": -1}, bypass_document_validation=True)
    db.create_collection("log", capped=True, size=65536)
    db["log"].insert_one({"n": 1})
    db.create_collection("a_view", viewOn="users", pipeline=[])
    db["odd/name é"].insert_one({"a": 1})
    db["sessions"].create_index("at", expireAfterSeconds=3600)
    db["sessions"].insert_many([{"at": now() + timedelta(days=99)}, {"at": now() - timedelta(days=99)}])

    trial = back_up(stage)

    trial.differences.must_be(0)
    folder = trial.backed_up.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(bson.decode_all((folder / "content.bson").read_bytes())) == 20
    assert "metadata.json" in next(iter(sorted(one.name for one in folder.iterdir())))
    assert str(folder) in trial.differences.note


def test_a_backup_that_lost_something_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(stage, restore="body = body[: len(body) // 2]")

    trial = back_up(stage, path=f"{stage.checkout / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(ServiceError, match="content: had 20 documents and has 10"):
        trial.differences.must_be(0)
    assert "mongodump and mongorestore" in trial.differences.source


def test_mongodump_is_used_where_it_is_installed_and_the_address_is_on_no_command_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(stage)

    trial = back_up(stage, path=f"{stage.checkout / 'bin'}:{os.environ['PATH']}")

    trial.differences.must_be(0)
    assert trial.backed_up.tool == "mongodump and mongorestore"
    assert stage.url not in "".join(
        (stage.checkout / f"{tool}.argv").read_text() for tool in ("mongodump", "mongorestore")
    )


def test_a_mongodump_that_fails_leaves_no_backup_to_believe_in(stage: Stage) -> None:
    stand_in(stage, dump="sys.exit('disk full')")

    with pytest.raises(ObserverError, match=r"(?s)mongodump ended with exit code 1.*disk full"):
        back_up(stage, path=f"{stage.checkout / 'bin'}:{os.environ['PATH']}")


def test_a_mongodump_that_leaves_collections_out_is_noticed(stage: Stage) -> None:
    stand_in(stage, dump="names.remove('users')")

    with pytest.raises(ObserverError, match="the backup lacks users"):
        back_up(stage, path=f"{stage.checkout / 'bin'}:{os.environ['PATH']}")


def test_a_folder_that_cannot_be_written_is_named(stage: Stage) -> None:
    (stage.checkout / "backups").write_text("")

    with pytest.raises(ObserverError, match="cannot be written"):
        back_up(stage)


def test_a_database_too_large_is_not_backed_up_in_part(stage: Stage) -> None:
    stage.database["content"].insert_one({"blob": b"x" * 2_000_000})

    with pytest.raises(NotAsked, match="more than the 1 MB"):
        back_up(stage, largest_mb=1)


def test_a_file_that_ends_in_the_middle_of_a_document_is_no_backup(stage: Stage, tmp_path: Path) -> None:
    dump.write(stage.database, tmp_path)
    file = tmp_path / "content.bson"
    file.write_bytes(file.read_bytes()[:-3])

    with pytest.raises(ObserverError, match="ends in the middle of a document"):
        [list(one.documents()) for one in dump.read(tmp_path)]


# What mongodump and mongorestore do, as far as it is asked of them here.
PROGRAM = """#!{python}
import json, pathlib, sys
import bson, pymongo
from bson import json_util
here = pathlib.Path({here!r})
tool = pathlib.Path(sys.argv[0]).name
(here / (tool + ".argv")).write_text(" ".join(sys.argv))
options = dict(one[2:].split("=", 1) for one in sys.argv[1:] if "=" in one)
client = pymongo.MongoClient(json.loads(open(options["config"]).read().partition("uri: ")[2]))
if tool == "mongodump":
    db = client[options["db"]]
    folder = pathlib.Path(options["out"]) / options["db"]
    folder.mkdir()
    names = db.list_collection_names()
    {dump}
    for one in db.list_collections(filter={{"name": {{"$in": names}}}}):
        name = one["name"]
        (folder / (name + ".bson")).write_bytes(b"".join(db[name].find_raw_batches()))
        metadata = {{"options": one["options"], "indexes": list(db[name].list_indexes()), "collectionName": name}}
        (folder / (name + ".metadata.json")).write_text(json_util.dumps(metadata))
else:
    source, target = options["nsFrom"].removesuffix(".*"), client[options["nsTo"].removesuffix(".*")]
    for file in (pathlib.Path(sys.argv[-1]) / source).glob("*.metadata.json"):
        name = file.name.removesuffix(".metadata.json")
        body = bson.decode_all(file.with_name(name + ".bson").read_bytes())
        {restore}
        target[name].insert_many(body)
        for index in json_util.loads(file.read_text())["indexes"]:
            if index["name"] != "_id_":
                target.command("createIndexes", name, indexes=[{{k: v for k, v in index.items() if k != "v"}}])
"""


def stand_in(stage: Stage, dump: str = "pass", restore: str = "pass") -> None:
    folder = stage.checkout / "bin"
    folder.mkdir()
    for tool in ("mongodump", "mongorestore"):
        file = folder / tool
        file.write_text(PROGRAM.format(python=sys.executable, here=str(stage.checkout), dump=dump, restore=restore))
        file.chmod(0o755)
