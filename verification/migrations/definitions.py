"""Collections as MongoDB defines them (kind, options, indexes) and their documents as raw BSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from bson import decode_iter
from bson.codec_options import CodecOptions
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from bson.raw_bson import RawBSONDocument

from verification.clients.mongodb import Database, Document

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)

_SET_BY_SERVER = {"v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion"}
_FOR_GOOD = 100 * 365 * 86400.0  # longer than that is how people switch expiry off


@dataclass(frozen=True, slots=True)
class CollectionDefinition:
    """A collection, time series or view; `indexes` has none for the one on `_id` that each collection has."""

    name: str
    kind: str
    options: Document
    indexes: list[Document]

    @property
    def is_view(self) -> bool:
        """Whether it has no documents of its own."""
        return self.kind == "view"

    @property
    def options_text(self) -> str:
        """The options in a form that can be compared."""
        clustered, options = self.options.get("clusteredIndex"), self.options
        if isinstance(clustered, dict):
            options = {**options, "clusteredIndex": {key: value for key, value in clustered.items() if key != "v"}}
        return _text(options)

    @property
    def index_texts(self) -> dict[str, str]:
        """The indexes by their names, in a form that can be compared; the order of an index's keys counts."""
        return {str(index["name"]): _index_text(index) for index in self.indexes}

    @property
    def expiries(self) -> list[tuple[str, float]]:
        """The fields by whose time documents expire, and after how many seconds."""
        found = [
            (next(iter(_key(index))), index["expireAfterSeconds"])
            for index in self.indexes
            if "expireAfterSeconds" in index
        ]
        series = self.options.get("timeseries")
        if isinstance(series, dict) and "expireAfterSeconds" in self.options:
            found.append((str(series["timeField"]), self.options["expireAfterSeconds"]))
        return [
            (field, float(seconds))
            for field, seconds in found
            if isinstance(seconds, (int, float)) and seconds < _FOR_GOOD
        ]


def definitions(database: Database, leave_out: frozenset[str] = frozenset()) -> list[CollectionDefinition]:
    """What `listCollections` and `listIndexes` tell, without the server's own collections; views come last."""
    found = []
    for listed in database.list_collections():
        name, kind = str(listed["name"]), str(listed.get("type", "collection"))
        if name.startswith("system.") or name in leave_out:
            continue
        options = listed.get("options", {})
        indexes = [] if kind == "view" else index_documents(database, name)
        found.append(CollectionDefinition(name, kind, dict(cast("Document", options)), indexes))
    return sorted(found, key=lambda definition: definition.is_view)


def index_documents(database: Database, name: str) -> list[Document]:
    """The indexes of a collection, without the one on `_id`."""
    return [dict(index) for index in database[name].list_indexes() if index["name"] != "_id_"]


def documents_of(database: Database, name: str, query: Document | None = None) -> Iterator[RawBSONDocument]:
    """The documents of a collection, in their natural order."""
    # pymongo declares its batches as documents, but hands out bytes.
    batches = cast("Iterable[bytes]", database[name].find_raw_batches(query or {}, sort=[("$natural", 1)]))
    for batch in batches:
        yield from decode_iter(batch, RAW)


def _index_text(index: Mapping[str, object]) -> str:
    rest = {name: value for name, value in index.items() if name not in {*_SET_BY_SERVER, "key", "name"}}
    # A direction may be 1 or 1.0, which is the same.
    keys = [(k, int(v) if isinstance(v, float) and v.is_integer() else v) for k, v in _key(index).items()]
    return f"{keys} {_text(rest)}"


def _key(index: Mapping[str, object]) -> Mapping[str, object]:
    return cast("Mapping[str, object]", index["key"])


def _text(value: Mapping[str, object]) -> str:
    plain = json.loads(dumps(value, json_options=CANONICAL_JSON_OPTIONS))
    return json.dumps(plain, sort_keys=True)
