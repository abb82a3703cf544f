"""What a database holds, as a value that can be compared: a hash of each collection, its indexes and its options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from verification.clients.mongodb import Database, Document
from verification.migrations.canonical import canonical

_HASH_SPACE = 1 << 256
_SET_BY_SERVER = {"v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion"}
_NONE = json.dumps({})
_FOR_GOOD = 100 * 365 * 86400.0  # longer than that is how people switch expiry off


@dataclass(frozen=True, slots=True)
class Contents:
    """How many documents, and one hash over all of them, whatever their order."""

    documents: int
    digest: str


@dataclass(frozen=True, slots=True)
class CollectionState:
    """One collection or view: its indexes by name, and its options, such as validator and collation."""

    kind: str
    contents: Contents
    options: str
    indexes: Mapping[str, str]

    @property
    def is_nothing(self) -> bool:
        """Whether it is as if the collection were not there: MongoDB makes such a one by itself when it is used."""
        plain = self.options == _NONE and not self.indexes
        return self.kind == "collection" and plain and not self.contents.documents


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole database at one time."""

    collections: Mapping[str, CollectionState]

    @property
    def documents(self) -> int:
        """How many documents there are in all collections."""
        return sum(one.contents.documents for one in self.collections.values())

    def differences(self, other: Snapshot) -> tuple[str, ...]:
        """In words, what is different in `other`; empty where the two are equal."""
        found: list[str] = []
        for name in sorted({*self.collections, *other.collections}):
            mine, theirs = self.collections.get(name), other.collections.get(name)
            if mine is None or theirs is None:
                there = mine or theirs
                if there is not None and not there.is_nothing:
                    found.append(f"{name}: {'is gone' if theirs is None else 'is new'}")
            else:
                found += [f"{name}: {words}" for words in _differences(mine, theirs)]
        return tuple(found)


def take(database: Database, leave_out: frozenset[str], expiring_before: datetime) -> Snapshot:
    """A snapshot of `database` without the collections `leave_out`.

    Documents that a TTL index will have removed by `expiring_before` are left out: the server removes them when it
    likes. Raises what pymongo raises.
    """
    return Snapshot(
        {
            str(one["name"]): _state(database, one, expiring_before)
            for one in described(database)
            if one["name"] not in leave_out
        }
    )


def described(database: Database) -> list[Document]:
    """`listCollections` without the server's own ones."""
    return [dict(one) for one in database.list_collections() if not str(one["name"]).startswith("system.")]


def index_documents(database: Database, name: str) -> list[Document]:
    """The indexes of a collection, without the one on `_id` that each has."""
    return [dict(one) for one in database[name].list_indexes() if one["name"] != "_id_"]


def expiries(options: Document, indexes: list[Document]) -> list[tuple[str, float]]:
    """The fields by whose time documents expire, and after how many seconds."""
    found = [(next(iter(_key(one))), one["expireAfterSeconds"]) for one in indexes if "expireAfterSeconds" in one]
    series = options.get("timeseries")
    if isinstance(series, dict) and "expireAfterSeconds" in options:
        found.append((str(series["timeField"]), options["expireAfterSeconds"]))
    return [
        (field, float(seconds)) for field, seconds in found if isinstance(seconds, (int, float)) and seconds < _FOR_GOOD
    ]


def contents_of(documents: Iterable[bytes]) -> Contents:
    """Count and hash of BSON documents. The hashes are added up, so that their order does not matter."""
    total, count = 0, 0
    for document in documents:
        total += int.from_bytes(hashlib.sha256(canonical(document)).digest(), "big")
        count += 1
    return Contents(count, f"{total % _HASH_SPACE:064x}")


def raw_documents(database: Database, name: str, query: Document) -> Iterator[bytes]:
    """The documents of a collection, as BSON, in their natural order."""
    # pymongo declares its batches as documents, but hands out bytes.
    batches = cast("Iterable[bytes]", database[name].find_raw_batches(query, sort=[("$natural", 1)]))
    for batch in batches:
        yield from split(batch)


def split(batch: bytes) -> Iterator[bytes]:
    """The BSON documents that stand one after the other in `batch`. Raises ValueError for a broken one."""
    at = 0
    while at < len(batch):
        size = int.from_bytes(batch[at : at + 4], "little", signed=True)
        if size < 5 or at + size > len(batch):
            raise ValueError("the BSON documents end in the middle of one")
        yield batch[at : at + size]
        at += size


def options_text(options: Mapping[str, object]) -> str:
    """Collection options in a form that can be compared."""
    clustered = options.get("clusteredIndex")
    if isinstance(clustered, dict):
        options = {**options, "clusteredIndex": {key: value for key, value in clustered.items() if key != "v"}}
    return _text(options)


def index_text(index: Mapping[str, object]) -> str:
    """An index definition in a form that can be compared; the order of its keys counts."""
    rest = {name: value for name, value in index.items() if name not in {*_SET_BY_SERVER, "key", "name"}}
    return f"{[(name, _direction(value)) for name, value in _key(index).items()]} {_text(rest)}"


def _state(database: Database, described_as: Document, expiring_before: datetime) -> CollectionState:
    name, kind = str(described_as["name"]), str(described_as.get("type", "collection"))
    options = described_as.get("options", {})
    assert isinstance(options, dict)
    if kind == "view":
        return CollectionState(kind, contents_of(()), options_text(options), {})
    indexes = index_documents(database, name)
    lasting = _lasting(options, indexes, expiring_before)
    contents = contents_of(raw_documents(database, name, lasting))
    return CollectionState(
        kind, contents, options_text(options), {str(one["name"]): index_text(one) for one in indexes}
    )


def _lasting(options: Document, indexes: list[Document], expiring_before: datetime) -> Document:
    clauses = [
        {field: {"$not": {"$lt": expiring_before - timedelta(seconds=seconds)}}}
        for field, seconds in expiries(options, indexes)
    ]
    return {"$and": clauses} if clauses else {}


def _differences(mine: CollectionState, theirs: CollectionState) -> Iterator[str]:
    if mine.kind != theirs.kind:
        yield f"was a {mine.kind} and is a {theirs.kind}"
    before, after = mine.contents, theirs.contents
    if before.documents != after.documents:
        yield f"had {before.documents} documents and has {after.documents}"
    elif before.digest != after.digest:
        yield f"some of its {after.documents} documents are different"
    if mine.options != theirs.options:
        yield f"had the options {mine.options} and has {theirs.options}"
    for name in sorted({*mine.indexes, *theirs.indexes}):
        if name not in theirs.indexes:
            yield f"its index {name} is gone"
        elif name not in mine.indexes:
            yield f"its index {name} is new"
        elif mine.indexes[name] != theirs.indexes[name]:
            yield f"its index {name} is defined differently"


def _key(index: Mapping[str, object]) -> Mapping[str, object]:
    key = index["key"]
    assert isinstance(key, Mapping)
    return key


def _text(value: Mapping[str, object]) -> str:
    plain = json.loads(dumps(value, json_options=CANONICAL_JSON_OPTIONS))
    return json.dumps(plain, sort_keys=True)


def _direction(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
