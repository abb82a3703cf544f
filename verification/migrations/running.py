"""Run a project's migration command against a rehearsal's database, and against nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from verification.clients.mongodb import Database, MongoDB
from verification.errors import ObserverError, ServiceError, VerificationError
from verification.migrations.guard import HOST, DatabaseGuard, GuardedTraffic
from verification.settings.migrations import Migrations
from verification.source_tree.commands import CommandResult, Commands

_ADDRESS = re.compile(r"mongodb(\+srv)?:", re.IGNORECASE)


def scrubbed(variables: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """`variables` without those that could lead a migration to some MongoDB, going by name and value."""
    return {
        name: value
        for name, value in variables.items()
        if "MONGO" not in name.upper() and not _ADDRESS.search(value) and not any(host in value for host in hosts)
    }


@dataclass(frozen=True, slots=True)
class MigrationCommands:
    """The project's upgrade and downgrade commands, run against `database` through a DatabaseGuard."""

    server: MongoDB
    commands: Commands
    checkout: Path
    settings: Migrations
    database: Database
    previous: str  # the migration that was applied last before the release; empty if there is none
    count: int

    def upgrade(self, log: str) -> GuardedTraffic:
        """Run the upgrade; what came through the guard. Raises ServiceError, or ObserverError when nothing is known."""
        return self._run(self.settings.upgrade or (), "upgrade", log)

    def downgrade(self, log: str) -> GuardedTraffic:
        """Run the downgrade; raises as `upgrade` does."""
        return self._run(self.settings.downgrade or (), "downgrade", log)

    def _run(self, command: Sequence[str], what: str, log: str) -> GuardedTraffic:
        with DatabaseGuard(self.server.upstream(), self.database.name) as guard:
            address = self.server.address_at(HOST, guard.port, self.database.name)
            ended = self.commands.run(
                [self._fill(word, address) for word in command if word != "{previous}" or self.previous],
                self.checkout / self.settings.directory,
                self.settings.timeout,
                log,
                {name: self._fill(value, address) for name, value in self.settings.environment.items()},
            )
            seen = guard.seen
        problem = _reached_past(seen, self.database.name) or _failed(ended, what)
        if problem is not None:
            raise problem
        return seen

    def _fill(self, text: str, address: str) -> str:
        values = {"url": address, "database": self.database.name, "previous": self.previous, "count": str(self.count)}
        return re.sub(r"\{(url|database|previous|count)\}", lambda found: values[found[1]], text)


def _reached_past(seen: GuardedTraffic, database: str) -> VerificationError | None:
    if not seen.refusals:
        return None
    listed = ", ".join(str(refused) for refused in seen.refusals[:5])
    cause = f"the migration does not keep to the database it is given: {listed} was refused"
    remedy = f"Let it take the database from its address, here {database}, and name none in its code."
    if any(refused.writes for refused in seen.refusals):
        return ServiceError(cause, remedy)
    return ObserverError(cause, f"{remedy} What it reads elsewhere is not there in a rehearsal.")


def _failed(ended: CommandResult, what: str) -> VerificationError | None:
    if ended.problem is not None:
        return ObserverError(
            f"the {what} was not rehearsed: {ended.problem.cause}",
            f"{ended.log.name} beside the report has its output. Mend migrations.{what} in deployment.toml, or raise "
            "migrations.timeout if it is merely slow.",
        )
    if ended.exit_code:
        said = f"; it last said:\n{ended.last_lines}" if ended.last_lines else "; it said nothing"
        return ServiceError(
            f"the {what} failed on the copy: `{ended.command}` ended with exit code {ended.exit_code}{said}",
            f"{ended.log.name} beside the report has the whole output. Mend the migration.",
        )
    return None
