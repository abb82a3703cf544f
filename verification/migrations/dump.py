"""A database as files, in the format of mongodump: for each collection `NAME.bson` and `NAME.metadata.json`.

Written and read without MongoDB's tools, for machines that do not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from bson import decode_file_iter
from bson.errors import InvalidBSON
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads
from bson.raw_bson import RawBSONDocument

from verification.clients.mongodb import Database
from verification.errors import ObserverError
from verification.migrations.copying import create, create_indexes, insert, refuse_miscount
from verification.migrations.definitions import RAW, CollectionDefinition, definitions, documents_of

_METADATA = ".metadata.json"


@dataclass(frozen=True, slots=True)
class DumpedCollection:
    """One collection or view of a dump, and the file of its documents."""

    definition: CollectionDefinition
    file: Path

    def documents(self) -> Iterator[RawBSONDocument]:
        """Its documents. Raises ObserverError when the file ends in the middle of one."""
        if not self.file.is_file():
            return
        try:
            with self.file.open("rb") as file:
                yield from decode_file_iter(file, RAW)
        except InvalidBSON:
            raise ObserverError(f"{self.file} ends in the middle of a document", "Make the backup again.") from None


def write(source: Database, folder: Path) -> None:
    """Write `source` into `folder`. Raises ObserverError, and what pymongo and the disk raise."""
    for definition in definitions(source):
        name, file = definition.name, quote(definition.name, safe="")
        metadata = {
            "options": definition.options,
            "indexes": [] if definition.is_view else list(map(dict, source[name].list_indexes())),
            "collectionName": name,
            "type": definition.kind,
        }
        text = dumps(metadata, json_options=CANONICAL_JSON_OPTIONS)
        (folder / f"{file}{_METADATA}").write_text(text, encoding="utf-8")
        if not definition.is_view:
            _write_documents(source, name, folder / f"{file}.bson")


def read(folder: Path) -> list[DumpedCollection]:
    """What the dump in `folder` holds, views last. Raises ObserverError when it is none."""
    found = []
    for file in sorted(folder.glob(f"*{_METADATA}")):
        stem = file.name.removesuffix(_METADATA)
        try:
            metadata = loads(file.read_text(encoding="utf-8"), json_options=CANONICAL_JSON_OPTIONS)
            name, kind = str(metadata.get("collectionName") or unquote(stem)), str(metadata.get("type", "collection"))
            indexes = [index for index in metadata["indexes"] if index["name"] != "_id_"]
            definition = CollectionDefinition(name, kind, dict(metadata["options"]), indexes)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ObserverError(f"{file} cannot be read: {error}", "Make the backup again.") from None
        found.append(DumpedCollection(definition, folder / f"{stem}.bson"))
    return sorted(found, key=lambda dumped: dumped.definition.is_view)


def restore(dumped: list[DumpedCollection], target: Database) -> None:
    """Make everything that was dumped again in `target`. Raises ObserverError, and what pymongo raises."""
    for collection in dumped:
        create(target, collection.definition)
        if not collection.definition.is_view:
            insert(target, collection.definition.name, collection.documents())
            create_indexes(target, collection.definition)


def _write_documents(source: Database, name: str, path: Path) -> None:
    before = source[name].count_documents({})
    count = 0
    with path.open("wb") as file:
        for document in documents_of(source, name):
            file.write(document.raw)
            count += 1
    refuse_miscount(source, name, before, count)
