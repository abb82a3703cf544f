"""What a database holds, as a value that can be compared: a hash of each collection, its indexes and its options."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson.raw_bson import RawBSONDocument

from verification.clients.mongodb import Database, Document
from verification.migrations.canonical import canonical
from verification.migrations.definitions import CollectionDefinition, definitions, documents_of

_HASH_SPACE = 1 << 256


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
        plain = self.options == "{}" and not self.indexes
        return self.kind == "collection" and plain and not self.contents.documents


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole database at one time."""

    collections: Mapping[str, CollectionState]

    @property
    def documents(self) -> int:
        """How many documents there are in all collections."""
        return sum(state.contents.documents for state in self.collections.values())

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
            definition.name: state_of(
                definition, documents_of(database, definition.name, _lasting(definition, expiring_before))
            )
            for definition in definitions(database, leave_out)
        }
    )


def state_of(definition: CollectionDefinition, documents: Iterable[RawBSONDocument]) -> CollectionState:
    """A collection with its documents, counted and hashed; a view has none."""
    contents = _contents(() if definition.is_view else documents)
    return CollectionState(definition.kind, contents, definition.options_text, definition.index_texts)


def _contents(documents: Iterable[RawBSONDocument]) -> Contents:
    """Count and hash. The hashes of the documents are added up, so that their order does not matter."""
    total, count = 0, 0
    for document in documents:
        total += int.from_bytes(hashlib.sha256(canonical(bytes(document.raw))).digest(), "big")
        count += 1
    return Contents(count, f"{total % _HASH_SPACE:064x}")


def _lasting(definition: CollectionDefinition, expiring_before: datetime) -> Document:
    clauses = [
        {field: {"$not": {"$lt": expiring_before - timedelta(seconds=seconds)}}}
        for field, seconds in definition.expiries
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
