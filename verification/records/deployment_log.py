"""The deployment log: where events are kept, one line each in a file, or one document each in a MongoDB collection.

Appended only, and never twice: an event's `id` is looked for first. Several runs, on one machine or (with MongoDB) on
many, may write at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import ValidationError

from verification.errors import ObserverError
from verification.records.deployments import Deployment, DeploymentEvent, fold
from verification.records.jsonl import append_line
from verification.settings.followup import DeploymentLogSettings
from verification.settings.loading import secret

if TYPE_CHECKING:
    from verification.clients.mongodb import Document, MongoDB

FILE = "deployments.jsonl"
_LOCK_WITHIN = 10.0
_MOST = 50_000


def open_log(settings: DeploymentLogSettings, output: Path, variables: Mapping[str, str]) -> DeploymentLog:
    """The log that `settings` name; nothing is touched yet. Raises SettingsError without the variable."""
    if settings.mongodb is None:
        return LogFile(output / FILE)
    return LogCollection(
        secret(settings.mongodb, "deployment_log.mongodb", variables), settings.collection, settings.timeout
    )


@dataclass(frozen=True, slots=True)
class LogFile:
    """JSON Lines in the file `path`, which need not exist."""

    path: Path

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self.path)

    def append(self, events: Iterable[DeploymentEvent]) -> int:
        """Keep what is new, each by one write that is on disk afterwards. Raises ObserverError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_WITHIN):
                known = {event.id for event in self._events()}
                new = {event.id: event for event in events if event.id not in known}
                for event in new.values():
                    append_line(self.path, event.model_dump_json())
        except Timeout:
            raise ObserverError(
                f"the deployment log {self.path} is locked by somebody else for more than {_LOCK_WITHIN:g} s",
                "Run it again.",
            ) from None
        except OSError as error:
            raise ObserverError(
                f"the deployment log {self.path} could not be written: {error.strerror}", "Free or mend that place."
            ) from None
        return len(new)

    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments. A line that is none (torn by a crash) is passed over. Raises ObserverError."""
        return fold(self._events())

    def _events(self) -> list[DeploymentEvent]:
        if not self.path.exists():
            return []
        if not self.path.is_file():  # reading a pipe or a device could last for ever
            raise ObserverError(f"the deployment log {self.path} is no file", "Move away what is there.")
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError as error:  # not "no deployments": nobody knows
            raise ObserverError(f"the deployment log {self.path} cannot be read: {error.strerror}") from None
        return [event for line in lines if line and (event := _event(line))]


@dataclass(frozen=True, slots=True)
class LogCollection:
    """Documents of one collection; an event's `id` is the document's `_id`. `timeout` seconds bound each question."""

    url: str
    collection: str
    timeout: float

    @property
    def place(self) -> str:
        """The collection, without its address."""
        return f"MongoDB collection {self.collection}"

    def append(self, events: Iterable[DeploymentEvent]) -> int:
        """Keep what is new. Raises ObserverError, SettingsError."""
        new = 0
        with self._open() as server, server.asking("the deployment log was written"):
            for event in events:
                document: Document = {**event.model_dump(mode="json"), "_id": event.id}
                kept = server.database[self.collection].update_one(
                    {"_id": event.id}, {"$setOnInsert": document}, upsert=True
                )
                new += kept.upserted_id is not None
        return new

    def deployments(self) -> tuple[Deployment, ...]:
        """All deployments. Raises ObserverError, SettingsError."""
        with self._open() as server, server.asking("the deployment log was read"):
            found = list(server.database[self.collection].find({}).sort("at", -1).limit(_MOST))
        return fold(event for document in found if (event := _event(document)))

    def _open(self) -> MongoDB:
        from verification.clients.mongodb import MongoDB

        return MongoDB(self.url, timeout=self.timeout)


DeploymentLog = LogFile | LogCollection


def _event(source: str | Mapping[str, object]) -> DeploymentEvent | None:
    """What a line or a document says; None for one that is no event."""
    try:
        return (
            DeploymentEvent.model_validate_json(source)
            if isinstance(source, str)
            else DeploymentEvent.model_validate(source)
        )
    except ValidationError:
        return None
