"""Copy a database within its server: collections with their options, documents, indexes and views."""

from __future__ import annotations

from collections.abc import Iterator

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from verification.clients.mongodb import Database, Document
from verification.errors import NotAsked, ObserverError
from verification.migrations.snapshot import described, index_documents, index_text, options_text, raw_documents

_BATCH_BYTES = 8_000_000
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


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
    present = sorted(described(source), key=lambda one: one.get("type") == "view")
    copied = 0
    for one in present:
        name = str(one["name"])
        _create(target, name, one)
        if one.get("type") != "view":
            copied += _copy_documents(source, target, name, one)
            create_indexes(target, name, index_documents(source, name))
    _refuse_unlike(source, target)
    return copied


def create_indexes(target: Database, name: str, indexes: list[Document]) -> None:
    """Create `indexes` (as `listIndexes` tells them) on the collection `name`."""
    missing = {str(one["name"]) for one in indexes} - {str(one["name"]) for one in index_documents(target, name)}
    wanted = [
        {key: value for key, value in one.items() if key not in {"v", "ns"}}
        for one in indexes
        if one["name"] in missing
    ]
    if wanted:
        target.command({"createIndexes": name, "indexes": wanted})


def _create(target: Database, name: str, described_as: Document) -> None:
    options = described_as.get("options", {})
    assert isinstance(options, dict)
    target.command({"create": name, **options})


def _copy_documents(source: Database, target: Database, name: str, described_as: Document) -> int:
    options = described_as.get("options", {})
    assert isinstance(options, dict)
    before = source[name].count_documents({})
    if not before:
        return 0
    # The order of a capped collection is part of it, and a time series is no target of $merge.
    if options.get("capped") or described_as.get("type") == "timeseries" or not _merge(source, target, name):
        for batch in _batches(source, name):
            target[name].insert_many(batch, ordered=True, bypass_document_validation=True)
    copied = target[name].count_documents({})
    refuse_miscount(source, name, before, copied)
    return copied


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


def _merge(source: Database, target: Database, name: str) -> bool:
    """Have the server copy the documents; False where it does not do that."""
    into = {"into": {"db": target.name, "coll": name}, "whenMatched": "replace", "whenNotMatched": "insert"}
    try:
        source[name].aggregate([{"$merge": into}], bypassDocumentValidation=True).close()
    except OperationFailure:
        target[name].delete_many({})
        return False
    return True


def _batches(source: Database, name: str) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in raw_documents(source, name, {}):
        batch.append(RawBSONDocument(document, _RAW))
        size += len(document)
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _shrinks(source: Database, name: str) -> bool:
    options = source[name].options()
    expiring = any("expireAfterSeconds" in one for one in [options, *index_documents(source, name)])
    return bool(options.get("capped")) or expiring


def _refuse_unlike(source: Database, target: Database) -> None:
    for one in described(source):
        name = str(one["name"])
        copy_of = next((two for two in described(target) if two["name"] == name), None)
        if copy_of is None or _structure(source, one) != _structure(target, copy_of):
            raise ObserverError(
                f"the copy of {name} does not have the options and indexes of the original",
                "Either it changed meanwhile (run again), or it has something that the rehearsal cannot copy.",
            )


def _structure(database: Database, described_as: Document) -> tuple[str, str, frozenset[str]]:
    options = described_as.get("options", {})
    assert isinstance(options, dict)
    kind = str(described_as.get("type", "collection"))
    indexes = [] if kind == "view" else index_documents(database, str(described_as["name"]))
    return kind, options_text(options), frozenset(index_text(one) for one in indexes)
