"""Back a database up, and show that the backup can be restored: into a scratch database, compared with the files."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from verification.clients.mongodb import MongoDB
from verification.errors import ObserverError, VerificationError
from verification.migrations import dump
from verification.migrations.copying import refuse_large
from verification.migrations.dump import DumpedCollection
from verification.migrations.scratch import MARKER, scratch
from verification.migrations.snapshot import CollectionState, DatabaseSnapshot, state_of, take
from verification.settings.migrations import Backup
from verification.source_tree.commands import Commands


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was tried out. `differences`: what is not in the restored database as it is in the files."""

    folder: Path
    tool: str
    documents: int
    differences: tuple[str, ...] | VerificationError


def back_up(server: MongoDB, url: str, settings: Backup, commands: Commands, path: str | None) -> BackedUp:
    """Back up the database of `server` (whose address is `url`) and restore it into a scratch database.

    `path` is where MongoDB's tools are looked for. The backup stays in `settings.folder`.

    Raises ObserverError when there is none in the end.
    """
    with server.asking(f"the size of {server.name} was asked for"):
        refuse_large(server.database, settings.largest_mb)
    expiring_before = datetime.now(UTC) + timedelta(seconds=4 * settings.timeout)
    folder = _new_folder(Path(settings.folder), server.name)
    tools = _Tools(url, server.name, settings.timeout, commands, path)
    if tools.present:
        dumped_to = tools.dump(folder)
        _refuse_incomplete(server, dump.read(dumped_to), settings.timeout)
    else:
        dumped_to = folder
        with server.asking(f"{server.name} was backed up", settings.timeout), _on_disk(folder):
            dump.write(server.database, folder)
    dumped = dump.read(dumped_to)
    states = {collection.definition.name: _state(collection, expiring_before) for collection in dumped}
    expected = DatabaseSnapshot(states)
    try:
        with scratch(server, 4 * settings.timeout) as database:
            if tools.present:
                tools.restore(folder, database.name)
            else:
                with server.asking(f"{folder} was restored", settings.timeout), _on_disk(folder):
                    dump.restore(dumped, database)
            with server.asking("the restored database was read", settings.timeout):
                restored = take(database, frozenset({MARKER}), expiring_before)
    except VerificationError as problem:
        return BackedUp(folder, tools.name, expected.documents, problem)
    return BackedUp(folder, tools.name, expected.documents, expected.differences(restored))


class _Tools:
    """mongodump and mongorestore. The address reaches them in a file: others could read it from a command line."""

    def __init__(self, url: str, database: str, timeout: float, commands: Commands, path: str | None) -> None:
        self._url, self._database, self._timeout, self._commands = url, database, timeout, commands
        self.present = all(shutil.which(tool, path=path) for tool in ("mongodump", "mongorestore"))
        self.name = "mongodump and mongorestore" if self.present else "the suite's own export"

    def dump(self, folder: Path) -> Path:
        """Dump into `folder`; the folder in it that has the files. Raises ObserverError."""
        self._run("mongodump", [f"--db={self._database}", f"--out={folder}"], folder)
        return folder / self._database

    def restore(self, folder: Path, target: str) -> None:
        """Restore what was dumped into `folder` as the database `target`. Raises ObserverError."""
        names = [f"--nsInclude={self._database}.*", f"--nsFrom={self._database}.*", f"--nsTo={target}.*"]
        self._run("mongorestore", [*names, "--stopOnError", str(folder)], folder)

    def _run(self, tool: str, options: list[str], folder: Path) -> None:
        with TemporaryDirectory(prefix="backup-") as private:
            file = Path(private) / "address.yaml"
            file.touch(mode=0o600)
            file.write_text(f"uri: {json.dumps(self._url)}\n", encoding="utf-8")
            ended = self._commands.run([tool, f"--config={file}", *options], folder, self._timeout, f"{tool}.log")
        if ended.problem is not None:
            raise ObserverError(f"{tool} gave no backup: {ended.problem.cause}", "Look at migrations.backup.timeout.")
        if ended.exit_code:
            raise ObserverError(
                f"{tool} ended with exit code {ended.exit_code}; it last said:\n{ended.last_lines}",
                f"{ended.log.name} beside the report has its whole output.",
            )


def _new_folder(parent: Path, database: str) -> Path:
    folder = parent / f"{database}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with _on_disk(folder):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)  # it holds everything the database does
    return folder


@contextlib.contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObserverError(
            f"the backup in {folder} cannot be written or read: {error.strerror or error}",
            "Make room there, or name another folder in migrations.backup.folder.",
        ) from None


def _refuse_incomplete(server: MongoDB, dumped: list[DumpedCollection], timeout: float) -> None:
    with server.asking(f"{server.name} was compared with its backup", timeout):
        there = server.database.list_collection_names()
    known = {collection.definition.name for collection in dumped}
    missing = [name for name in there if name not in known and not name.startswith("system.")]
    if missing:
        raise ObserverError(f"the backup lacks {', '.join(sorted(missing))}", "Look at mongodump.log.")


def _state(collection: DumpedCollection, expiring_before: datetime) -> CollectionState:
    expiries = collection.definition.expiries
    limits = [(field, expiring_before - timedelta(seconds=seconds)) for field, seconds in expiries]
    lasting = (document for document in collection.documents() if not (limits and _expires(document, limits)))
    return state_of(collection.definition, lasting)


def _expires(document: Mapping[str, object], limits: list[tuple[str, datetime]]) -> bool:
    return any(
        isinstance(value, datetime) and value.replace(tzinfo=UTC) < limit
        for field, limit in limits
        for value in _values(document, field.split("."))
    )


def _values(found: object, path: list[str]) -> Iterator[object]:
    """What stands at a dotted path, as MongoDB's queries see it: arrays are looked into."""
    if isinstance(found, list):
        for element in found:
            yield from _values(element, path)
    elif not path:
        yield found
    elif isinstance(found, Mapping) and path[0] in found:
        yield from _values(found[path[0]], path[1:])
