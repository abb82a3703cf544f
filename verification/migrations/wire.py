"""MongoDB's wire protocol, as far as it takes to see which database a command is for, and to refuse it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bson import decode, decode_all, encode
from bson.errors import InvalidBSON

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HEADER_SIZE = 16
LARGEST_MESSAGE = 48_000_000 + 64_000

_HEADER = struct.Struct("<iiii")
_CHECKSUM, _NO_REPLY = 1, 2

_WRITES = {
    "insert", "update", "delete", "findandmodify", "create", "createindexes", "drop", "dropdatabase", "dropindexes",
    "collmod", "renamecollection", "bulkwrite", "converttocapped", "clonecollectionascapped", "mapreduce",
}  # fmt: skip
_HARMLESS = {
    "hello", "ismaster", "ping", "buildinfo", "saslstart", "saslcontinue", "authenticate", "logout", "endsessions",
    "startsession", "refreshsessions", "killsessions", "killcursors", "committransaction", "aborttransaction",
    "connectionstatus", "hostinfo", "whatsmyuri", "serverstatus", "getparameter", "getcmdlineopts", "listcommands",
    "replsetgetstatus", "listdatabases",
}  # fmt: skip


class UnknownMessage(Exception):
    """A message that cannot be read, such as a compressed one: nobody can say what it would do."""


@dataclass(frozen=True, slots=True)
class WireCommand:
    """One command: its name in small letters, the namespaces (`database.collection`) it reaches, whether it writes."""

    name: str
    namespaces: tuple[str, ...]
    writes: bool
    expects_reply: bool

    @property
    def is_harmless(self) -> bool:
        """Whether it is about the connection or the server, and touches no data."""
        return self.name in _HARMLESS

    def outside(self, database: str) -> str:
        """The first namespace that is not in `database`; empty if all are."""
        return next((namespace for namespace in self.namespaces if namespace.partition(".")[0] != database), "")


def size_of(header: bytes) -> int:
    """The size of the message that begins with `header`. Raises UnknownMessage for one out of bounds."""
    size: int = _HEADER.unpack(header)[0]
    if not HEADER_SIZE <= size <= LARGEST_MESSAGE:
        raise UnknownMessage(f"a message of {size} bytes")
    return size


def read(message: bytes) -> WireCommand:
    """The command in `message`. Raises UnknownMessage."""
    code = _HEADER.unpack_from(message)[3]
    try:
        if code == OP_MSG:
            return _from_msg(message)
        if code == OP_QUERY:
            return _from_query(message)
    except (InvalidBSON, IndexError, KeyError, TypeError, ValueError, StopIteration, struct.error) as error:
        raise UnknownMessage(f"a message that cannot be read ({type(error).__name__})") from None
    raise UnknownMessage(f"a message of kind {code}")


def refusal(message: bytes, reason: str) -> bytes:
    """The server's answer "not allowed" to `message`."""
    request, code = _HEADER.unpack_from(message)[1], _HEADER.unpack_from(message)[3]
    body = encode({"ok": 0.0, "errmsg": reason, "code": 13, "codeName": "Unauthorized"})
    if code == OP_QUERY:
        payload, kind = struct.pack("<iqii", 0, 0, 0, 1) + body, OP_REPLY
    else:
        payload, kind = struct.pack("<I", 0) + b"\0" + body, OP_MSG
    return _HEADER.pack(HEADER_SIZE + len(payload), 0, request, kind) + payload


def _from_msg(message: bytes) -> WireCommand:
    flags = struct.unpack_from("<I", message, HEADER_SIZE)[0]
    end = len(message) - (4 if flags & _CHECKSUM else 0)
    body: dict[str, object] = {}
    at = HEADER_SIZE + 4
    while at < end:
        kind = message[at]
        size: int = struct.unpack_from("<i", message, at + 1)[0]
        section = message[at + 1 : at + 1 + size]
        if kind == 0:
            body = {**body, **decode(section)}
        else:
            kind_of, _, documents = section[4:].partition(b"\0")
            if kind_of == b"nsInfo":  # bulkWrite names its namespaces apart
                body = {"nsInfo": decode_all(documents), **body}
        at += 1 + size
    name = next(key for key in body if key != "nsInfo")
    return _command(name, body, str(body["$db"]), expects_reply=not flags & _NO_REPLY)


def _from_query(message: bytes) -> WireCommand:
    end = message.index(0, HEADER_SIZE + 4)
    namespace = message[HEADER_SIZE + 4 : end].decode()
    database, _, collection = namespace.partition(".")
    at = end + 1 + 8
    size: int = struct.unpack_from("<i", message, at)[0]
    body = decode(message[at : at + size])
    if collection != "$cmd":
        return WireCommand("find", (namespace,), writes=False, expects_reply=True)
    query = body.get("$query", body.get("query", body))
    return _command(next(iter(query)), query, database, expects_reply=True)


def _command(name: str, body: Mapping[str, object], database: str, *, expects_reply: bool) -> WireCommand:
    lower = name.lower()
    target = body[name]
    collection = target if isinstance(target, str) else ""
    namespaces = [f"{database}.{collection}" if collection else database]
    writes = lower in _WRITES
    if lower == "renamecollection":
        namespaces = [str(target), str(body["to"])]
    elif lower == "bulkwrite":
        listed = body["nsInfo"]
        assert isinstance(listed, list)
        namespaces = [str(namespace["ns"]) for namespace in listed]
    elif lower in {"aggregate", "explain"}:
        outputs = [*_outputs(body, database)]
        namespaces += outputs
        writes = bool(outputs) and lower == "aggregate"
    elif lower == "mapreduce" and isinstance(out := body.get("out"), dict):
        namespaces.append(str(out.get("db", database)))
    return WireCommand(lower, tuple(namespaces), writes, expects_reply)


def _outputs(body: Mapping[str, object], database: str) -> Iterator[str]:
    """Where a pipeline's `$out` or `$merge` writes to."""
    pipeline = body.get("pipeline")
    for stage in pipeline if isinstance(pipeline, list) else []:
        for operator in ("$out", "$merge"):
            into = stage.get(operator)
            if isinstance(into, dict) and isinstance(into.get("into"), (dict, str)):
                into = into["into"]
            if isinstance(into, str):
                yield f"{database}.{into}"
            elif isinstance(into, dict):
                yield f"{into.get('db', database)}.{into.get('coll', '')}"
