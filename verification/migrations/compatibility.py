"""Whether a migrated database still is what the revision before it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from verification.clients.mongodb import Database, Document
from verification.migrations.definitions import CollectionDefinition, definitions
from verification.settings.migrations import Read

_NUMBERS = {"int", "long", "double", "decimal"}


@dataclass(frozen=True, slots=True)
class FieldUse:
    """A field at the top of a collection's documents: in how many it is, and as what types (numbers are all one)."""

    documents: int
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class CollectionUse:
    """What a reader of the collection may rely on, and the validator that its writers are held to."""

    documents: int
    fields: Mapping[str, FieldUse]
    validator: Document


Survey = Mapping[str, CollectionUse]


def survey(database: Database, leave_out: frozenset[str]) -> Survey:
    """The collections of `database` as they are now, counted on the server. Raises what pymongo raises."""
    return {
        definition.name: _survey(database, definition)
        for definition in definitions(database, leave_out)
        if not definition.is_view
    }


def incompatibilities(before: Survey, after: Survey, source: Database, migrated: Database) -> Iterator[str]:
    """In words, what is there no more for those who know the database as it was `before`.

    `migrated` is the database that `after` tells of; `source` has documents as the previous revision writes them.
    """
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            if was.documents:
                yield f"{name} is gone"
            continue
        yield from _fields_lost(name, was, now)
        yield from _refused(name, "as migrated", "the validator from before", was.validator, migrated)
        if now.validator != was.validator:
            yield from _refused(
                name, "as the previous revision writes them", "the new validator", now.validator, source
            )


def unreadable(reads: Sequence[Read], migrated: Database) -> Iterator[str]:
    """In words, which of the declared reads would not find what they need."""
    for read in reads:
        documents = migrated[read.collection].count_documents({})
        if documents < read.at_least:
            yield f"{read.collection} has {documents} documents, fewer than {read.at_least}"
        for field, kind in read.fields.items():
            lacking = migrated[read.collection].count_documents({"$nor": [{field: {"$type": kind}}]})
            if lacking:
                yield f"{read.collection}.{field} is no {kind} in {lacking} of {documents} documents"


def _survey(database: Database, definition: CollectionDefinition) -> CollectionUse:
    collection = database[definition.name]
    counted = collection.aggregate(
        [
            {"$project": {"_id": 0, "field": {"$objectToArray": "$$ROOT"}}},
            {"$unwind": "$field"},
            {"$group": {"_id": {"name": "$field.k", "type": {"$type": "$field.v"}}, "count": {"$sum": 1}}},
        ],
        allowDiskUse=True,
    )
    fields: dict[str, FieldUse] = {}
    for group in counted:
        key, count = cast("dict[str, str]", group["_id"]), cast("int", group["count"])
        known = fields.get(key["name"], FieldUse(0, frozenset()))
        kind = "number" if key["type"] in _NUMBERS else key["type"]
        fields[key["name"]] = FieldUse(known.documents + count, known.types | {kind})
    validator = cast("Document", definition.options.get("validator") or {})
    return CollectionUse(collection.count_documents({}), fields, validator)


def _fields_lost(name: str, was: CollectionUse, now: CollectionUse) -> Iterator[str]:
    if not now.documents:
        return
    for field, before in was.fields.items():
        after = now.fields.get(field, FieldUse(0, frozenset()))
        if not after.documents:
            yield f"{name}.{field} is gone"
        elif before.documents == was.documents and after.documents < now.documents:
            lacking = now.documents - after.documents
            yield f"{name}.{field} was in every document, and is missing in {lacking} of {now.documents}"
        if after.types - before.types:
            was_, is_ = " or ".join(sorted(before.types)), " or ".join(sorted(after.types))
            yield f"{name}.{field} was {was_}, and is {is_}"


def _refused(name: str, which: str, whose: str, validator: Document, database: Database) -> Iterator[str]:
    if not validator:
        return
    refused = database[name].count_documents({"$nor": [validator]})
    if refused:
        yield f"{name}: {refused} documents {which} would be refused by {whose}"
