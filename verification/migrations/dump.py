"""A database as files, in the format of mongodump: for each collection `NAME.bson` and `NAME.metadata.json`.

Written and read without MongoDB's tools, for machines that do not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from bson.codec_options import CodecOptions
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads
from bson.raw_bson import RawBSONDocument

from verification.clients.mongodb import Database, Document
from verification.errors import ObserverError
from verification.migrations.copying import create_indexes, refuse_miscount
from verification.migrations.snapshot import described, index_documents, raw_documents

_METADATA = ".metadata.json"
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class DumpedCollection:
    """One collection or view of a dump."""

    name: str
    kind: str
    options: Document
    indexes: list[Document]
    file: Path

    def documents(self) -> Iterator[bytes]:
        """Its documents, as BSON. Raises ObserverError when the file ends in the middle of one."""
        if not self.file.is_file():
            return
        with self.file.open("rb") as file:
            while head := file.read(4):
                size = int.from_bytes(head, "little", signed=True)
                document = head + file.read(max(size - 4, 0))
                if size < 5 or len(document) != size:
                    raise ObserverError(f"{self.file} ends in the middle of a document", "Make the backup again.")
                yield document


def write(source: Database, folder: Path) -> int:
    """Write `source` into `folder`; how many documents. Raises ObserverError, and what pymongo and the disk raise."""
    written = 0
    for one in described(source):
        name, kind = str(one["name"]), str(one.get("type", "collection"))
        indexes = [] if kind == "view" else list(map(dict, source[name].list_indexes()))
        metadata = {"options": one.get("options", {}), "indexes": indexes, "collectionName": name, "type": kind}
        (folder / f"{quote(name, safe='')}{_METADATA}").write_text(
            dumps(metadata, json_options=CANONICAL_JSON_OPTIONS), encoding="utf-8"
        )
        if kind != "view":
            written += _write_documents(source, name, folder / f"{quote(name, safe='')}.bson")
    return written


def read(folder: Path) -> list[DumpedCollection]:
    """What the dump in `folder` holds. Raises ObserverError when it is none."""
    found = []
    for file in sorted(folder.glob(f"*{_METADATA}")):
        stem = file.name.removesuffix(_METADATA)
        try:
            metadata = loads(file.read_text(encoding="utf-8"), json_options=CANONICAL_JSON_OPTIONS)
            name, kind = str(metadata.get("collectionName") or unquote(stem)), str(metadata.get("type", "collection"))
            options, indexes = dict(metadata["options"]), [one for one in metadata["indexes"] if one["name"] != "_id_"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ObserverError(f"{file} cannot be read: {error}", "Make the backup again.") from None
        found.append(DumpedCollection(name, kind, options, indexes, folder / f"{stem}.bson"))
    return found


def restore(dumped: list[DumpedCollection], target: Database) -> None:
    """Make everything that was dumped again in `target`. Raises ObserverError, and what pymongo raises."""
    for one in sorted(dumped, key=lambda one: one.kind == "view"):
        target.command({"create": one.name, **one.options})
        if one.kind == "view":
            continue
        batch: list[RawBSONDocument] = []
        for document in one.documents():
            batch.append(RawBSONDocument(document, _RAW))
            if len(batch) == _BATCH:
                target[one.name].insert_many(batch, bypass_document_validation=True)
                batch = []
        if batch:
            target[one.name].insert_many(batch, bypass_document_validation=True)
        missing = {str(index["name"]) for index in index_documents(target, one.name)}
        create_indexes(target, one.name, [index for index in one.indexes if index["name"] not in missing])


def _write_documents(source: Database, name: str, path: Path) -> int:
    before = source[name].count_documents({})
    count = 0
    with path.open("wb") as file:
        for document in raw_documents(source, name, {}):
            file.write(document)
            count += 1
    refuse_miscount(source, name, before, count)
    return count
