"""Client of one MongoDB database. Whatever pymongo raises becomes one of our errors.

An address carries a password. It is registered with the redactor when it is read, and so is every other form of it
that is made here.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode

import pymongo
from pymongo import MongoClient
from pymongo.database import Database as PymongoDatabase
from pymongo.errors import InvalidOperation, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from verification.errors import NotPermitted, ObserverError, SettingsError
from verification.redaction import redact_and_truncate, register

Document = dict[str, object]
Database = PymongoDatabase[Document]

_CONNECT_WITHIN = 10.0
_NOT_ALLOWED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, Atlas's own "user is not allowed"
_LONGEST_REASON = 300

# How the way to the server is travelled; behind a guard on this machine none of it applies.
_OF_THE_WAY = {
    "tls", "tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlsinsecure", "tlscrlfile",
    "tlsallowinvalidcertificates", "tlsallowinvalidhostnames", "tlsdisableocspendpointcheck",
    "replicaset", "directconnection", "loadbalanced", "compressors", "zlibcompressionlevel",
    "srvservicename", "srvmaxhosts", "authsource",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Upstream:
    """Host, port and TLS of the server behind a database's address."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class MongoDB:
    """Client of the database that an address names, with a time limit on every call. Close it, or use it in `with`."""

    def __init__(self, url: str, database: str | None = None, *, timeout: float = _CONNECT_WITHIN) -> None:
        """Raises SettingsError for an address that is none, or that names no database."""
        register(url)
        self._timeout = timeout
        try:
            parsed = parse_uri(url, connect_timeout=timeout)
            options = {str(key).lower(): value for key, value in parsed["options"].items()}
            limit = int(timeout * 1000)
            self.client: MongoClient[Document] = MongoClient(
                url,
                appname="deployment-verification",
                connect=False,
                tz_aware=True,
                serverSelectionTimeoutMS=options.get("serverselectiontimeoutms", limit),
                connectTimeoutMS=options.get("connecttimeoutms", limit),
            )
        except (ValueError, PyMongoError) as error:
            raise SettingsError(
                f"the MongoDB address cannot be used: {_reason(error)}",
                "Write it as mongodb://user:password@host/database (or mongodb+srv://…), the password percent-encoded.",
            ) from None
        self._username, self._password = parsed["username"], parsed["password"]
        if self._password:
            register(self._password)
        self._nodes: list[tuple[str, int | None]] = parsed["nodelist"]
        self._options: dict[str, object] = options
        self._default = parsed["database"]
        self._srv = url.startswith("mongodb+srv:")
        name = database or parsed["database"]
        if not name:
            raise SettingsError(
                "the MongoDB address names no database",
                "Append it to the address (…/database), or write database_name beside it in deployment.toml.",
            )
        self.name: str = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the address names, as `host:port`, or `host` alone where that is telling enough."""
        return tuple(host if "." in host and not host[0].isdigit() else f"{host}:{port}" for host, port in self._nodes)

    @property
    def database(self) -> Database:
        """The database that the address names."""
        return self.client[self.name]

    @contextmanager
    def asking(self, question: str, within: float | None = None) -> Iterator[None]:
        """Limit all calls inside, together, to `within` seconds; raise ObserverError, NotPermitted for their errors."""
        limit = self._timeout if within is None else max(within, 0.001)
        try:
            with pymongo.timeout(limit):
                yield
        except PyMongoError as error:
            raise _blame(error, question, limit) from None

    def upstream(self) -> Upstream:
        """The server to write to: the primary, or any router of a sharded cluster. Raises ObserverError."""
        with self.asking("MongoDB was looked for"):
            self.client.admin.command("ping")
            try:
                address: tuple[str, int | None] | None = self.client.primary or self.client.address
            except InvalidOperation:
                address = next(iter(self.client.nodes))
        if address is None:
            raise ObserverError("MongoDB names no server that can be written to", "Look at the state of its replicas.")
        host, port = address[0], address[1] or 27017
        return Upstream(host, port, self._tls())

    def address_at(self, host: str, port: int, database: str) -> str:
        """The address of `database` behind a proxy at `host:port`; with the same user and authentication database."""
        options = {key: value for key, value in self._options.items() if key not in _OF_THE_WAY}
        options["directconnection"] = True
        user = ""
        if self._username:
            user = quote(self._username, safe="")
            user += f":{quote(self._password, safe='')}@" if self._password else "@"
            options["authsource"] = self._options.get("authsource") or self._default or "admin"
        pairs = {key: _option(value) for key, value in options.items() if not isinstance(value, dict)}
        address = f"mongodb://{user}{host}:{port}/{quote(database, safe='')}?{urlencode(pairs)}"
        register(address)
        return address

    def _tls(self) -> ssl.SSLContext | None:
        if not self._options.get("tls", self._srv):
            return None
        ca_file = self._options.get("tlscafile")
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        loose = bool(self._options.get("tlsinsecure"))
        context.check_hostname = not (loose or self._options.get("tlsallowinvalidhostnames"))
        if loose or self._options.get("tlsallowinvalidcertificates"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        key_file = self._options.get("tlscertificatekeyfile")
        if key_file:
            password = self._options.get("tlscertificatekeyfilepassword")
            context.load_cert_chain(str(key_file), password=str(password) if password else None)
        return context


def _blame(error: PyMongoError, question: str, limit: float) -> ObserverError:
    if isinstance(error, OperationFailure) and error.code in _NOT_ALLOWED:
        return NotPermitted(
            f"{question}: MongoDB does not allow it: {_reason(error)}",
            "Give the user of this address readWriteAnyDatabase and dbAdminAnyDatabase: databases to try things in are "
            "made on the same server.",
        )
    if isinstance(error, ServerSelectionTimeoutError):
        return ObserverError(
            f"{question}: MongoDB cannot be reached: {_reason(error)}",
            "Look at the address, and whether the server's access list has this machine.",
        )
    if error.timeout:
        return ObserverError(f"{question}: MongoDB did not finish within {limit:g} s", "Raise the timeout beside it.")
    return ObserverError(f"{question}: MongoDB answered {_reason(error)}")


def _reason(error: Exception) -> str:
    details = error.details if isinstance(error, OperationFailure) else None
    said = str((details or {}).get("errmsg", error))
    return redact_and_truncate(said.partition(", Timeout:")[0], _LONGEST_REASON)


def _option(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
