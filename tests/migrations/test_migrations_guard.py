"""The guard in front of a database: what is let through, what is refused, and how it ends."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bson
import pymongo
import pytest
from pymongo.errors import OperationFailure, PyMongoError

from tests.migrations.migration_stage import Document, Stage, stage
from verification.clients.mongodb import MongoDB, Upstream
from verification.migrations import wire
from verification.migrations.guard import HOST, DatabaseGuard

__all__ = ["stage"]


@contextmanager
def guarded(stage: Stage) -> Iterator[tuple[DatabaseGuard, pymongo.MongoClient[Document]]]:
    with MongoDB(stage.url) as server, DatabaseGuard(server.upstream(), stage.name) as guard:
        address = server.address_at(HOST, guard.port, stage.name)
        with pymongo.MongoClient[Document](address, serverSelectionTimeoutMS=5000) as client:
            yield guard, client


def test_the_database_is_used_as_if_nothing_stood_before_it(stage: Stage) -> None:
    with guarded(stage) as (guard, client):
        db = client.get_default_database()
        db["content"].insert_many([{"blob": b"x" * 1_000_000} for _ in range(30)])
        with client.start_session() as session:
            session.with_transaction(lambda one: db["users"].insert_one({"email": "t"}, session=one))
        db["content"].bulk_write([pymongo.UpdateOne({"_id": "c1"}, {"$set": {"a": 1}})])
        client.bulk_write([pymongo.InsertOne(namespace=f"{stage.name}.more", document={})])
        db["content"].aggregate([{"$match": {"_id": "c1"}}, {"$merge": "kept"}])
        db["kept"].rename("kept2")
        assert len(list(db["content"].find(batch_size=2))) == 50
        seen = guard.seen

    assert seen.refusals == ()
    assert seen.writes >= 6
    assert stage.database["kept2"].count_documents({}) == 1


@pytest.mark.parametrize(
    "reach",
    [
        lambda client: client["other"].content.insert_one({}),
        lambda client: client.bulk_write([pymongo.InsertOne(namespace="other.x", document={})]),
        lambda client: client.get_default_database().content.aggregate([{"$merge": {"into": {"db": "other", "coll": "x"}}}]),
        lambda client: client.admin.command("shutdown"),
        lambda client: client.admin.command("setParameter", 1, ttlMonitorEnabled=False),
        lambda client: client["other"].command("createUser", "x", pwd="y", roles=[]),
    ],
    ids=["insert", "bulkWrite", "merge", "shutdown", "setParameter", "createUser"],
)  # fmt: skip
def test_what_is_for_another_database_is_refused_and_noted(stage: Stage, reach: object) -> None:
    assert callable(reach)
    with guarded(stage) as (guard, client):
        with pytest.raises((OperationFailure, pymongo.errors.ClientBulkWriteException), match="rehearsal is for"):
            reach(client)
        assert len(guard.seen.refusals) == 1
        assert client.get_default_database()["content"].count_documents({}) == 20


def test_a_message_that_cannot_be_read_ends_the_connection(stage: Stage) -> None:
    compressed = struct.pack("<iiii", 25, 1, 0, 2012) + b"\0" * 9
    with guarded(stage) as (guard, _), socket.create_connection((HOST, guard.port), 10) as connection:
        connection.sendall(compressed)
        assert connection.recv(1) == b""
        assert "kind 2012" in str(guard.seen.refusals[0])


def test_nothing_listens_and_no_connection_lives_once_it_is_closed(stage: Stage) -> None:
    with MongoDB(stage.url) as server:
        with DatabaseGuard(server.upstream(), stage.name) as guard:
            held = socket.create_connection((HOST, guard.port), 10)
            port = guard.port
        with held, contextlib.suppress(ConnectionResetError):
            assert held.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), 10)


def test_a_server_that_is_gone_looks_gone(stage: Stage) -> None:
    with socket.socket() as dead:
        dead.bind((HOST, 0))
        with (
            DatabaseGuard(Upstream(HOST, dead.getsockname()[1], None), "x") as guard,
            pymongo.MongoClient[Document](f"mongodb://{HOST}:{guard.port}/x?directConnection=true", serverSelectionTimeoutMS=300) as client,
            pytest.raises(PyMongoError),
        ):  # fmt: skip
            client["x"].command("ping")
    assert not [one for one in threading.enumerate() if one.name == "migration guard" and not one.daemon]


def message(*sections: bytes, flags: int = 0, code: int = wire.OP_MSG) -> bytes:
    payload = struct.pack("<I", flags) + b"".join(sections)
    return struct.pack("<iiii", 16 + len(payload), 1, 0, code) + payload


def test_the_body_may_come_after_the_documents() -> None:
    documents = b"documents\0" + bson.encode({"a": 1})
    sequence = b"\1" + struct.pack("<i", 4 + len(documents)) + documents
    body = b"\0" + bson.encode({"insert": "content", "$db": "x"})

    command = wire.read(message(sequence, body, flags=2))

    assert (command.name, command.namespaces, command.writes, command.expects_reply) == (
        "insert",
        ("x.content",),
        True,
        False,
    )


@pytest.mark.parametrize(
    "broken",
    [
        message(),
        message(b"\0" + bson.encode({"ping": 1})),  # no $db
        message(b"\0\xff\xff\xff\x7f"),
        message(b"\0" + bson.encode({"$db": "x"})[:-1]),
        message(b"", code=2013)[:18],
        message(b"x", code=1),
    ],
)
def test_a_broken_message_is_never_taken_for_a_harmless_one(broken: bytes) -> None:
    with pytest.raises(wire.UnknownMessage):
        wire.read(broken)
