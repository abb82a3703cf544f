"""Snapshots of a database that can be compared: a hash of each collection, its indexes and its options."""

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
class CollectionState:
    """A collection or view: how many documents, and one hash over all of them, whatever their order."""

    definition: CollectionDefinition
    documents: int
    digest: str

    @property
    def is_nothing(self) -> bool:
        """Whether it is as if the collection were not there: MongoDB makes such a one by itself when it is used."""
        plain = not self.definition.options and not self.definition.indexes
        return self.definition.kind == "collection" and plain and not self.documents


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """The state of all collections of a database."""

    collections: Mapping[str, CollectionState]

    @property
    def documents(self) -> int:
        """How many documents there are in all collections."""
        return sum(state.documents for state in self.collections.values())

    def differences(self, other: DatabaseSnapshot) -> tuple[str, ...]:
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


def take(database: Database, leave_out: frozenset[str], expiring_before: datetime) -> DatabaseSnapshot:
    """A snapshot of `database` without the collections `leave_out`.

    Documents that a TTL index will have removed by `expiring_before` are left out: the server removes them when it
    likes. Raises what pymongo raises.
    """
    return DatabaseSnapshot(
        {
            definition.name: state_of(
                definition, documents_of(database, definition.name, _lasting(definition, expiring_before))
            )
            for definition in definitions(database, leave_out)
        }
    )


def state_of(definition: CollectionDefinition, documents: Iterable[RawBSONDocument]) -> CollectionState:
    """A collection with its documents, counted and hashed; a view has none."""
    total, count = 0, 0
    for document in () if definition.is_view else documents:
        # The hashes are added up, so that the order of the documents does not matter.
        total += int.from_bytes(hashlib.sha256(canonical(bytes(document.raw))).digest(), "big")
        count += 1
    return CollectionState(definition, count, f"{total % _HASH_SPACE:064x}")


def _lasting(definition: CollectionDefinition, expiring_before: datetime) -> Document:
    clauses = [
        {field: {"$not": {"$lt": expiring_before - timedelta(seconds=seconds)}}}
        for field, seconds in definition.expiries
    ]
    return {"$and": clauses} if clauses else {}


def _differences(mine: CollectionState, theirs: CollectionState) -> Iterator[str]:
    was, is_ = mine.definition, theirs.definition
    if was.kind != is_.kind:
        yield f"was a {was.kind} and is a {is_.kind}"
    if mine.documents != theirs.documents:
        yield f"had {mine.documents} documents and has {theirs.documents}"
    elif mine.digest != theirs.digest:
        yield f"some of its {theirs.documents} documents are different"
    if was.options_text != is_.options_text:
        yield f"had the options {was.options_text} and has {is_.options_text}"
    before, after = was.index_texts, is_.index_texts
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"its index {name} is gone"
        elif name not in before:
            yield f"its index {name} is new"
        elif before[name] != after[name]:
            yield f"its index {name} is defined differently"
