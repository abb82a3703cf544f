"""Copy a database within its server: collections with their options, documents, indexes and views."""

from __future__ import annotations

from collections.abc import Iterable

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from verification.clients.mongodb import Database
from verification.errors import NotAsked, ObserverError
from verification.migrations.definitions import CollectionDefinition, definitions, documents_of, index_documents

_BATCH_BYTES = 8_000_000


def refuse_large(source: Database, largest_mb: float) -> None:
    """Raise NotAsked when `source` holds more than `largest_mb`: a part of it would prove nothing about the rest."""
    size = source.command("dbStats")["dataSize"] / 1e6
    if size > largest_mb:
        raise NotAsked(
            f"{source.name} holds {size:.0f} MB, more than the {largest_mb:g} MB that are copied",
            "Raise the limit in deployment.toml (largest_copy_mb, largest_mb), or name a smaller database of its kind.",
        )


def copy(source: Database, target: Database) -> int:
    """Copy everything in `source` into `target`, which is empty; how many documents that were.

    Raises ObserverError when the copy is not what the source is (its documents may change meanwhile, by those who use
    it: only a copy that holds more or fewer than there ever were is refused), and what pymongo raises.
    """
    copied = 0
    for definition in definitions(source):
        create(target, definition)
        if not definition.is_view:
            copied += _copy_documents(source, target, definition)
            create_indexes(target, definition)
    _refuse_unlike(source, target)
    return copied


def create(target: Database, definition: CollectionDefinition) -> None:
    """Create the collection or view, with its options and without its indexes."""
    target.command({"create": definition.name, **definition.options})


def create_indexes(target: Database, definition: CollectionDefinition) -> None:
    """Create those indexes of the collection that `target` does not have."""
    there = {str(index["name"]) for index in index_documents(target, definition.name)}
    wanted = [
        {key: value for key, value in index.items() if key not in {"v", "ns"}}
        for index in definition.indexes
        if index["name"] not in there
    ]
    if wanted:
        target.command({"createIndexes": definition.name, "indexes": wanted})


def insert(target: Database, name: str, documents: Iterable[RawBSONDocument]) -> None:
    """Insert `documents` in their order, as they are: a validator may have come after them."""
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.raw)
        if size > _BATCH_BYTES:
            target[name].insert_many(batch, bypass_document_validation=True)
            batch, size = [], 0
    if batch:
        target[name].insert_many(batch, bypass_document_validation=True)


def refuse_miscount(source: Database, name: str, before: int, copied: int) -> None:
    """Raise ObserverError when `copied` cannot be all of a collection that had `before` documents when it began.

    A capped collection throws old ones away, and a TTL index expired ones, at any time.
    """
    after = source[name].count_documents({})
    if copied > max(before, after) or (copied < min(before, after) and not _shrinks(source, name)):
        raise ObserverError(
            f"of {name}, {copied} documents were copied and there are {after}",
            "Look at the server's log, then run again.",
        )


def _copy_documents(source: Database, target: Database, definition: CollectionDefinition) -> int:
    name = definition.name
    before = source[name].count_documents({})
    if not before:
        return 0
    # The order of a capped collection is part of it, and a time series is no target of $merge.
    by_hand = definition.options.get("capped") or definition.kind == "timeseries"
    if by_hand or not _merge(source, target, name):
        insert(target, name, documents_of(source, name))
    copied = target[name].count_documents({})
    refuse_miscount(source, name, before, copied)
    return copied


def _merge(source: Database, target: Database, name: str) -> bool:
    """Have the server copy the documents; False where it does not do that."""
    into = {"into": {"db": target.name, "coll": name}, "whenMatched": "replace", "whenNotMatched": "insert"}
    try:
        source[name].aggregate([{"$merge": into}], bypassDocumentValidation=True).close()
    except OperationFailure:
        target[name].delete_many({})
        return False
    return True


def _shrinks(source: Database, name: str) -> bool:
    options = source[name].options()
    expiring = any("expireAfterSeconds" in described for described in [options, *index_documents(source, name)])
    return bool(options.get("capped")) or expiring


def _refuse_unlike(source: Database, target: Database) -> None:
    copies = {definition.name: definition for definition in definitions(target)}
    for original in definitions(source):
        copied = copies.get(original.name)
        if copied is None or _structure(copied) != _structure(original):
            raise ObserverError(
                f"the copy of {original.name} does not have the options and indexes of the original",
                "Either it changed meanwhile (run again), or it has something that the rehearsal cannot copy.",
            )


def _structure(definition: CollectionDefinition) -> tuple[str, str, frozenset[str]]:
    return definition.kind, definition.options_text, frozenset(definition.index_texts.values())
