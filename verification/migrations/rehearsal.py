"""Rehearse a release's migrations on a copy of the database: once, once more, and back.

A tool that keeps a log of what it has applied would do nothing the second time. So the log is put back before each
run, and the migration itself runs again. Where the copy has been migrated already (staging runs the release by now),
going back and forth again must lead to the same contents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from verification.clients.mongodb import Database, MongoDB
from verification.errors import NotAsked, ObserverError, ServiceError, VerificationError
from verification.migrations.compatibility import Survey, incompatibilities, survey, unreadable
from verification.migrations.copying import copy, refuse_large
from verification.migrations.guard import GuardedTraffic
from verification.migrations.layouts import LOGS
from verification.migrations.running import MigrationCommands
from verification.migrations.scratch import MARKER, scratch
from verification.migrations.snapshot import DatabaseSnapshot, take
from verification.settings.migrations import Migrations
from verification.source_tree.commands import Commands

# A copy and four runs, each with twice as long for what is read before and after it.
_RUNS = 15

Differences = tuple[str, ...] | VerificationError  # differences in words, or why they are not known


_NOT_REACHED = NotAsked("the rehearsal did not come that far", "Look at migrations_are_idempotent first.")
_NO_DOWNGRADE = NotAsked("there is no command that goes back", "Name one in migrations.downgrade of deployment.toml.")


@dataclass(slots=True)
class Rehearsed:
    """Result of a rehearsal. Each of the three answers is the list of what is wrong, or why nothing is known."""

    source: str
    documents: int = 0
    migrated_already: bool = False
    repeated: Differences = field(default_factory=lambda: _NOT_REACHED)
    restored: Differences = field(default_factory=lambda: _NOT_REACHED)
    incompatible: Differences = field(default_factory=lambda: _NOT_REACHED)


def rehearse(
    server: MongoDB, commands: Commands, checkout: Path, settings: Migrations, files: tuple[str, ...]
) -> Rehearsed:
    """Rehearse the migrations `files` on a copy of the database of `server`. Raises ObserverError.

    What the migration itself does wrong is in the answer. The copy is gone when this returns or raises.
    """
    rehearsed = Rehearsed(server.name)
    with server.asking(f"the size of {server.name} was asked for"):
        refuse_large(server.database, settings.largest_copy_mb)
    lasts = _RUNS * settings.timeout
    with scratch(server, lasts) as database:
        with server.asking(f"{server.name} was copied", settings.timeout):
            rehearsed.documents = copy(server.database, database)
        rehearsal = _Rehearsal(server, commands, checkout, settings, files, database, rehearsed)
        try:
            rehearsal.run()
        except VerificationError as problem:
            rehearsed.repeated = problem
    return rehearsed


class _Rehearsal:
    def __init__(
        self,
        server: MongoDB,
        commands: Commands,
        checkout: Path,
        settings: Migrations,
        files: tuple[str, ...],
        database: Database,
        rehearsed: Rehearsed,
    ) -> None:
        self._server, self._database, self._settings, self._rehearsed = server, database, settings, rehearsed
        self._log = LOGS[settings.layout]
        modules = [file for file in files if not PurePosixPath(file).name.startswith("_")]
        self._names = sorted(self._log.name_of(file) for file in modules) if self._log else []
        self._leave_out = frozenset({MARKER, *([self._log.collection] if self._log else [])})
        self._expiring_before = datetime.now(UTC) + timedelta(seconds=_RUNS * settings.timeout)
        applied = self._applied()
        self._was_logged = bool({*applied} & {*self._names})
        previous = next((name for name in reversed(applied) if name not in self._names), "")
        if settings.layout == "beanie":  # its log cannot tell later files from earlier ones
            previous = max((name for name in applied if name < min(self._names, default="")), default="")
        self._previous = previous
        self._steps = MigrationCommands(server, commands, checkout, settings, database, previous, len(modules))

    def run(self) -> None:
        """Upgrade, upgrade again, downgrade; raises what keeps it from going on."""
        before = self._snapshot()
        surveyed = self._survey()
        self._forget()
        seen = self._steps.upgrade("migration-1-upgrade.log")
        once = self._snapshot()
        self._must_have_acted(seen, before)
        self._forget()
        self._steps.upgrade("migration-2-again.log")
        self._rehearsed.repeated = once.differences(self._snapshot())
        self._rehearsed.migrated_already = self._was_logged or not before.differences(once)
        if not self._rehearsed.migrated_already:
            self._rehearsed.incompatible = self._incompatible(surveyed)
        try:
            self._back(once if self._rehearsed.migrated_already else before)
        except VerificationError as problem:
            self._rehearsed.restored = problem

    def _back(self, before: DatabaseSnapshot) -> None:
        """Downgrade, and hold the copy against `before`.

        Where it was migrated from the start, what it was before is known only after going back: it goes forth again.
        """
        if not self._settings.downgrade:
            self._rehearsed.restored = _NO_DOWNGRADE
            if self._rehearsed.migrated_already:
                self._rehearsed.incompatible = NotAsked(
                    f"{self._server.name} has been migrated already, so what was there before is not known",
                    "Name a command that goes back in migrations.downgrade, or a database not migrated yet.",
                )
            return
        self._steps.downgrade("migration-3-downgrade.log")
        undone = before.differences(self._snapshot())
        if not self._rehearsed.migrated_already:
            self._rehearsed.restored = undone
            return
        surveyed = self._survey()
        self._steps.upgrade("migration-4-upgrade.log")
        again = before.differences(self._snapshot())
        if undone:
            self._rehearsed.restored = again
            self._rehearsed.incompatible = self._incompatible(surveyed)
            return
        self._rehearsed.restored = self._rehearsed.incompatible = NotAsked(
            f"{self._server.name} has been migrated already, and the downgrade changed nothing in the copy",
            "Name a database that has not been migrated yet in migrations.database, or look at the downgrade.",
        )

    def _must_have_acted(self, seen: GuardedTraffic, before: DatabaseSnapshot) -> None:
        """Raise unless there is evidence that the command migrated this database: success alone is none."""
        if not seen.commands:
            with self._server.asking(f"{self._server.name} was looked at", self._settings.timeout):
                changed = before.differences(take(self._server.database, self._leave_out, self._expiring_before))
            cause = "the upgrade ended well, but never asked for the database that it was given"
            remedy = f"Let it take the address from {' or '.join(self._settings.environment)}, or pass {{url}} to it."
            if changed:
                raise ServiceError(
                    f"{cause}, and {self._server.name} has changed meanwhile: {'; '.join(changed[:5])}",
                    f"If the migration did that, it connects to an address of its own. {remedy}",
                )
            raise ObserverError(cause, remedy)
        missing = [name for name in self._names if name not in self._applied()]
        if missing and self._log:
            raise ObserverError(
                f"the upgrade ended well, but {self._log.collection} does not tell of {', '.join(missing)}",
                "Does the command look at the folder of the release's migrations? See migrations.upgrade.",
            )
        if not self._log and not seen.writes:
            raise ObserverError(
                "the upgrade ended well, but wrote nothing: nothing was rehearsed",
                "Name the tool in migrations.layout, so that its log is put back; or a database not migrated yet.",
            )

    def _snapshot(self) -> DatabaseSnapshot:
        with self._server.asking("the copy was read", self._settings.timeout):
            return take(self._database, self._leave_out, self._expiring_before)

    def _survey(self) -> Survey:
        with self._server.asking("the copy's fields were counted", self._settings.timeout):
            return survey(self._database, self._leave_out)

    def _incompatible(self, before: Survey) -> Differences:
        try:
            after = self._survey()
            with self._server.asking("the copy was held against validators and reads", self._settings.timeout):
                found = incompatibilities(before, after, self._server.database, self._database)
                return (*found, *unreadable(self._settings.reads, self._database))
        except VerificationError as problem:
            return problem

    def _applied(self) -> list[str]:
        if self._log is None:
            return []
        with self._server.asking("the copy's log of migrations was read"):
            return self._log.applied(self._database)

    def _forget(self) -> None:
        if self._log is not None and self._names:
            with self._server.asking("the copy's log of migrations was put back"):
                self._log.forget(self._database, self._names, self._previous)
