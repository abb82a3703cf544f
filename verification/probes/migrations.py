"""Probes of a release's migrations: what they would destroy, whether they can be run twice and back, and the backup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verification.errors import NotAsked, ObserverError, ServiceError, VerificationError
from verification.migrations.findings import DestructiveOperation, ReadResult, Unreadable, approval_of, note
from verification.migrations.layouts import BACKWARD
from verification.migrations.mongo_reading import read_python
from verification.probe import probe
from verification.probes.health import given
from verification.probes.release import ReleaseContents
from verification.probes.rollback_plan import NO_MIGRATIONS, document_of
from verification.probes.source import listed
from verification.settings.loading import secret
from verification.settings.migrations import Approval, Migrations
from verification.source_tree.checkout import Checkout
from verification.source_tree.commands import Commands
from verification.verdict import Measurement

if TYPE_CHECKING:
    from verification.migrations.backup import BackedUp
    from verification.migrations.rehearsal import Differences, Rehearsed


@dataclass(frozen=True, slots=True)
class MigrationReading:
    """What reading the release's migrations brought up; the approved findings apart."""

    source: str
    files: tuple[str, ...]
    findings: tuple[DestructiveOperation, ...]
    approved: tuple[tuple[DestructiveOperation, str], ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def destructive(self) -> Measurement:
        """How many operations destroy something and are not approved; inconclusive where some cannot be read."""
        words = "; ".join(f"approved: {finding} ({reason})" for finding, reason in self.approved)
        figure = Measurement(
            "destructive operations",
            len(self.findings),
            source=self.source,
            samples=len(self.files),
            note=words or (listed(self.files) if self.files else NO_MIGRATIONS),
        )
        if self.findings:
            cause = f"the migrations destroy something:\n{listed(self.findings, chr(10))}"
            remedy = (
                "Split it: add first, and remove in a later release. If it is meant, approve it in "
                "[[migrations.approved]] with file, operation and reason."
            )
            return replace(figure, problem=ServiceError(cause, remedy))
        if self.unreadable:
            cause = f"nobody can say what this does without running it:\n{listed(self.unreadable, chr(10))}"
            remedy = (
                'Write it out, or approve it in [[migrations.approved]] with the operation "unreadable" and a reason.'
            )
            return replace(figure, value=None, problem=ObserverError(cause, remedy))
        return figure


@dataclass(frozen=True, slots=True)
class MigrationRehearsal:
    """What the rehearsal on a copy came to; `rehearsed` is None when there was nothing to rehearse."""

    files: tuple[str, ...]
    rehearsed: Rehearsed | VerificationError | None
    document: Measurement | None  # the rollback document, where one is named
    logs: tuple[str, ...] = ()  # what the migrations said

    @property
    def repeat(self) -> Measurement:
        """What is different after the migrations have run a second time."""
        return self._differences(
            "differences after a second run",
            "repeated",
            "the migrations are not idempotent: run again, they change what they left",
            "Let each step look first whether it is done: filter for what is not migrated yet, $set instead of $inc.",
        )

    @property
    def way_back(self) -> Measurement:
        """Which one there is: "restored" (a downgrade, rehearsed), "documented", "not restored" or "none"."""
        figure = replace(
            self._differences(
                "way back",
                "restored",
                "the downgrade does not restore what was there",
                "Mend the downgrade; what it cannot bring back, only a backup can (migrations.backup).",
            ),
            value="restored",
        )
        if figure.problem is None:
            return figure
        if isinstance(figure.problem, ServiceError):
            return replace(figure, value="not restored")
        return self.document or replace(figure, value=None)

    @property
    def incompatibilities(self) -> Measurement:
        """What the revision before this one would miss in the migrated copy."""
        return self._differences(
            "incompatibilities",
            "incompatible",
            "the revision that serves now would not find what it needs in the migrated database",
            "Add and fill new fields beside the old ones, and remove the old ones in a later release.",
        )

    def _differences(self, name: str, which: str, cause: str, remedy: str) -> Measurement:
        figure = Measurement(name, 0, source="rehearsal on a copy", note=NO_MIGRATIONS)
        if self.rehearsed is None:
            return figure
        if isinstance(self.rehearsed, VerificationError):
            return replace(figure, value=None, note="", logs=self.logs, problem=self.rehearsed)
        already = ", which had been migrated already" if self.rehearsed.migrated_already else ""
        copied = self.rehearsed.documents
        figure = replace(
            figure,
            source=f"rehearsal on a copy of {self.rehearsed.source}",
            samples=copied,
            logs=self.logs,
            note=f"{copied} documents copied{already}; {listed(self.files)}",
        )
        found: Differences = getattr(self.rehearsed, which)
        if isinstance(found, VerificationError):
            return replace(figure, value=None, problem=found)
        if found:
            return replace(figure, value=len(found), problem=ServiceError(f"{cause}: {listed(found)}", remedy))
        return figure


@dataclass(frozen=True, slots=True)
class BackupTrial:
    """A backup that was restored."""

    backed_up: BackedUp
    source: str

    @property
    def differences(self) -> Measurement:
        """What is different in the restored database."""
        done = self.backed_up
        figure = Measurement(
            "differences after the backup was restored",
            None,
            source=f"{done.tool}, {self.source}",
            samples=done.documents,
            note=f"{done.documents} documents in {done.folder}",
        )
        if isinstance(done.differences, VerificationError):
            return replace(figure, problem=done.differences)
        figure = replace(figure, value=len(done.differences))
        if done.differences:
            cause = f"the backup in {done.folder} does not restore what was backed up: {listed(done.differences)}"
            return replace(
                figure, problem=ServiceError(cause, "Do not migrate on it. Make another one, or a snapshot.")
            )
        return figure


@probe
def migration_reading(
    checkout: Checkout, migrations: Migrations, release_contents: ReleaseContents, logs: Path
) -> MigrationReading:
    """Read the release's migrations, and note what they destroy."""
    reading = read_migrations(
        {file: checkout.text(release_contents.candidate, file) or "" for file in release_contents.migrations},
        migrations,
        release_contents.source,
    )
    destroys = (*reading.findings, *(finding for finding, _ in reading.approved))
    note(logs.parent, release_contents.candidate, tuple(map(str, destroys)))
    return reading


@probe
def migration_rehearsal(
    checkout: Checkout,
    migrations: Migrations,
    release_contents: ReleaseContents,
    variables: dict[str, str],
    logs: Path,
) -> MigrationRehearsal:
    """Rehearse the release's migrations on a copy of the staging database."""
    return rehearse_migrations(checkout.path, migrations, release_contents.migrations, variables, logs)


def read_migrations(sources: Mapping[str, str], settings: Migrations, source: str) -> MigrationReading:
    """Read `sources` (file -> text). Raises ServiceError for a migration that is no Python."""
    read = ReadResult()
    for file, text in sources.items():
        read += _read_file(file, text, settings)
    found: list[DestructiveOperation] = []
    approved: list[tuple[DestructiveOperation, str]] = []
    for finding in read.findings:
        approval = approval_of(finding, settings.approved)
        if approval is None:
            found.append(finding)
        else:
            approved.append((finding, approval.reason))
    unreadable = tuple(place for place in read.unreadable if not _is_approved(place, settings.approved))
    return MigrationReading(source, tuple(sources), tuple(found), tuple(approved), unreadable)


def rehearse_migrations(
    checkout: Path, settings: Migrations, files: Sequence[str], variables: Mapping[str, str], logs: Path
) -> MigrationRehearsal:
    """Rehearse `files`, which lie in `checkout`. Never raises for what the rehearsal meets: that is in the answer."""
    from verification.clients.mongodb import MongoDB
    from verification.migrations.rehearsal import rehearse
    from verification.migrations.running import scrubbed

    if not files:
        return MigrationRehearsal((), None, None)
    document = document_of(checkout, settings, files)
    if settings.upgrade is None:
        problem = NotAsked("there is no command that migrates", "Name one in migrations.upgrade of deployment.toml.")
        return MigrationRehearsal(tuple(files), problem, document)
    try:
        address = secret(settings.database, "migrations.database", variables)
        with (
            MongoDB(address, settings.database_name) as server,
            closing(Commands(logs, scrubbed(variables, server.hosts))) as commands,
        ):
            rehearsed: Rehearsed | VerificationError = rehearse(server, commands, checkout, settings, tuple(files))
    except VerificationError as problem:
        rehearsed = problem
    written = tuple(sorted(log.name for log in logs.glob("migration-*.log")))
    return MigrationRehearsal(tuple(files), rehearsed, document, written)


@probe
def backup_trial(migrations: Migrations, variables: Mapping[str, str], logs: Path) -> BackupTrial:
    """Back up the database of `migrations.backup`, and restore the backup. Raises ObserverError when there is none."""
    from verification.clients.mongodb import MongoDB
    from verification.migrations.backup import back_up

    wanted = given(migrations.backup, "migrations.backup")
    address = secret(wanted.database, "migrations.backup.database", variables)
    with MongoDB(address, wanted.database_name) as server, closing(Commands(logs, variables)) as commands:
        return BackupTrial(back_up(server, address, wanted, commands, variables.get("PATH")), server.name)


def _read_file(file: str, text: str, settings: Migrations) -> ReadResult:
    suffix = PurePosixPath(file).suffix.lower()
    if suffix == ".py":
        return read_python(text, file, BACKWARD)
    if suffix == ".sql":
        from verification.migrations.sql_reading import read_sql

        return read_sql(text, file, settings.sql_dialect)
    return ReadResult(
        unreadable=(Unreadable(file, 1, f"{suffix or 'such'} files are not understood, only .py and .sql"),)
    )


def _is_approved(place: Unreadable, approved: Sequence[Approval]) -> bool:
    return approval_of(DestructiveOperation(place.file, place.line, "unreadable", place.reason), approved) is not None
