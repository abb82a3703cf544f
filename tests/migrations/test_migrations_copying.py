"""Copies, snapshots and scratch databases: nothing is lost, nothing is taken for something else, nothing stays."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tests.migrations.migration_stage import Document, Stage, stage
from verification.clients.mongodb import MongoDB
from verification.errors import ObserverError
from verification.migrations.canonical import canonical
from verification.migrations.copying import copy
from verification.migrations.scratch import MARKER, PREFIX, refuse, scratch
from verification.migrations.snapshot import DatabaseSnapshot, take

__all__ = ["stage"]

ROOT = Path(__file__).parents[2]
NOW = dt.datetime(2026, 1, 20, tzinfo=dt.UTC)

Value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=12,
)


def of(stage: Stage, name: str | None = None) -> DatabaseSnapshot:
    return take(stage.client[name or stage.name], frozenset({MARKER}), NOW)


@contextmanager
def server(stage: Stage) -> Iterator[MongoDB]:
    with MongoDB(stage.url) as one:
        yield one


# --- the canonical form ----------------------------------------------------------------------------------------------


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed(one) for key, one in reversed(value.items())}
    return [_reversed(one) for one in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text("abcd", max_size=3), Value, max_size=6))
def test_field_order_does_not_count_and_nothing_else_is_lost(document: dict[str, object]) -> None:
    raw = bson.encode(document)
    turned = _reversed(document)
    assert isinstance(turned, dict)

    assert canonical(raw) == canonical(bson.encode(turned))
    assert bson.decode(canonical(raw)) == bson.decode(raw)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": Int64(1)}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": None}, {}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": ""}, {"a": b""}),
    ],
)
def test_whatever_else_differs_counts(one: Document, other: Document) -> None:
    assert canonical(bson.encode(one)) != canonical(bson.encode(other))


def test_every_kind_of_value_is_read() -> None:
    document = {
        "oid": ObjectId(), "date": NOW, "regex": bson.Regex("a", "i"), "code": bson.Code("x"), "min": bson.MinKey(),
        "scoped": bson.Code("x", {"b": 1, "a": 2}), "decimal": Decimal128("1.10"), "time": bson.Timestamp(1, 2),
        "uuid": bson.Binary(b"0" * 16, 4), "max": bson.MaxKey(), "none": None, "ref": bson.DBRef("c", 1),
    }  # fmt: skip
    raw = bson.encode(document)
    assert bson.decode(canonical(raw)) == bson.decode(raw)


@pytest.mark.parametrize(
    "broken", [b"", b"\x05\0\0", b"\x09\0\0\0\x01a\0\0\0", bson.encode({"a": 1})[:-3], b"\x08\0\0\0\x44a\0\0"]
)
def test_what_is_no_bson_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"BSON|subsection"):
        canonical(broken)


# --- snapshots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda db: db.content.update_one({"_id": "c1"}, {"$set": {"year": 7}}), "content: some of its 20 documents"),
        (lambda db: db.content.delete_one({"_id": "c1"}), "content: had 20 documents and has 19"),
        (lambda db: db.content.create_index("year"), "content: its index year_1 is new"),
        (lambda db: db.content.drop_index("title_1"), "content: its index title_1 is gone"),
        (lambda db: (db.users.drop_index("email_1"), db.users.create_index("email")), "users: its index email_1 is defined differently"),
        (lambda db: db.command("collMod", "content", validator={"a": 1}), "content: had the options"),
        (lambda db: db.users.drop(), "users: is gone"),
        (lambda db: db.users.rename("people"), "people: is new"),
        (lambda db: db.create_collection("v", viewOn="users", pipeline=[]), "v: is new"),
        (lambda db: db.create_collection("log", capped=True, size=4096), "log: is new"),
    ],
)  # fmt: skip
def test_every_change_is_seen(stage: Stage, change: object, words: str) -> None:
    before = of(stage)
    assert callable(change)
    change(stage.database)

    assert any(one.startswith(words) for one in before.differences(of(stage))), before.differences(of(stage))


def test_the_order_of_the_keys_of_an_index_counts(stage: Stage) -> None:
    stage.database["content"].create_index([("a", 1), ("b", 1)], name="i")
    before = of(stage)
    stage.database["content"].drop_index("i")
    stage.database["content"].create_index([("b", 1), ("a", 1)], name="i")

    assert before.differences(of(stage)) == ("content: its index i is defined differently",)


def test_an_empty_collection_without_properties_is_nothing(stage: Stage) -> None:
    before = of(stage)
    stage.database.create_collection("jobs")

    assert before.differences(of(stage)) == ()


def test_documents_that_are_about_to_expire_are_left_out(stage: Stage) -> None:
    sessions = stage.database["sessions"]
    sessions.insert_one({"at": NOW + dt.timedelta(days=3650)})
    sessions.create_index("at", expireAfterSeconds=3600)
    before = of(stage)
    sessions.insert_one({"at": NOW - dt.timedelta(seconds=3601)})

    assert before.differences(of(stage)) == ()
    assert before.collections["sessions"].documents == 1


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_has_everything_the_source_has(stage: Stage) -> None:
    db = stage.database
    db.create_collection("strict", validator={"n": {"$gt": 0}}, collation={"locale": "en", "strength": 2})
    db["strict"].insert_one({"n": 1})
    db["strict"].insert_one({"n": -1}, bypass_document_validation=True)
    db["strict"].create_index([("n", -1), ("m", 1)], unique=True, partialFilterExpression={"n": {"$gt": 0}})
    db["strict"].create_index("at", expireAfterSeconds=86400, sparse=True, name="ttl")
    db.create_collection("log", capped=True, size=65536, max=100)
    db["log"].insert_many([{"n": n} for n in (3, 1, 2)])
    db.create_collection("measured", timeseries={"timeField": "t", "metaField": "m"})
    db["measured"].insert_one({"t": NOW, "m": 1, "v": 2.5})
    db.create_collection("a_view", viewOn="strict", pipeline=[{"$match": {"n": 1}}])
    db.create_collection("empty")
    db["odd name.with é"].insert_one({"": {"": 1}})
    before = of(stage)

    with server(stage) as one, scratch(one, 60) as target:
        copied = copy(one.database, target)
        assert before.differences(of(stage, target.name)) == ()
        assert [each["n"] for each in target["log"].find()] == [3, 1, 2]
        assert len(list(target["a_view"].find())) == 1

    assert copied == before.documents
    assert before.differences(of(stage)) == ()


# --- scratch databases -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["staging", "admin", PREFIX, f"{PREFIX}x", f"{PREFIX}1795474569_", f"x{PREFIX}1795474569_0123456789ab"]
)
def test_only_what_is_named_like_a_scratch_database_is_ever_dropped(name: str) -> None:
    with pytest.raises(ObserverError, match="left alone"):
        refuse(name, "staging")


def test_the_source_is_never_dropped_even_if_it_is_named_like_a_scratch_database() -> None:
    name = f"{PREFIX}1795474569_0123456789ab"
    refuse(name, "staging")
    with pytest.raises(ObserverError, match="left alone"):
        refuse(name, name)


def test_a_scratch_database_is_marked_and_gone_afterwards_whatever_happens(stage: Stage) -> None:
    with server(stage) as one:
        with pytest.raises(RuntimeError, match="half way"):
            _use_and_raise(one, stage.name)
        assert stage.left_behind == []


def _use_and_raise(server: MongoDB, source: str) -> None:
    with scratch(server, 60) as database:
        assert (
            database[MARKER].count_documents({"_id": database.name, "of": source, "until": {"$gt": time.time()}}) == 1
        )
        database["x"].insert_one({})
        raise RuntimeError("half way")


def test_only_marked_leftovers_whose_time_is_past_are_swept(stage: Stage) -> None:
    past, later, unmarked = (f"{PREFIX}1795474569_{letter * 12}" for letter in "abc")
    stage.client[past][MARKER].insert_one({"_id": past, "until": time.time() - 1})
    stage.client[later][MARKER].insert_one({"_id": later, "until": time.time() + 60})
    stage.client[unmarked]["precious"].insert_one({})

    with server(stage) as one, scratch(one, 60):
        pass

    left = stage.left_behind
    for name in (past, later, unmarked):
        stage.client.drop_database(name)
    assert sorted(left) == [later, unmarked]


BROKEN_OFF = """
import sys, threading, time
from verification.clients.mongodb import MongoDB
from verification.migrations.scratch import scratch
ready = threading.Event()
def probe():
    with MongoDB(sys.argv[1]) as server, scratch(server, 60):
        ready.set()
        time.sleep(600)
threading.Thread(target=probe, daemon=True).start()
assert ready.wait(30)
"""


def test_a_scratch_database_is_gone_when_the_run_is_broken_off(stage: Stage) -> None:
    subprocess.run([sys.executable, "-c", BROKEN_OFF, stage.url], cwd=ROOT, check=True, timeout=60)

    assert stage.left_behind == []
