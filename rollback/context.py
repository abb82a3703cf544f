"""What a rollback acts in: the service that it moves, the run's journal, and what it may do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rollback.serving_history import ServingHistory
from verification.clients.google.cloud_run import CloudRun
from verification.errors import SettingsError
from verification.records.journal import Journal
from verification.records.rollback_plan import PreviousRevisionHint
from verification.settings.loading import load
from verification.settings.model import Settings

PREVIOUS_REVISION = "PREVIOUS_REVISION"
_HISTORY = "serving.jsonl"


@dataclass(frozen=True, slots=True)
class RollbackContext:
    """The service of an environment, and what one run may do with it.

    `variables` are the environment variables of the strategies and channels: tokens, and what gcloud needs. `allowed`
    is False under `--no-rollback`; a `dry_run` does everything but the write.
    """

    settings: Settings
    cloud_run: CloudRun
    journal: Journal
    history: ServingHistory
    variables: Mapping[str, str]
    allowed: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class EnvironmentContext:
    """An environment when pytest is not there to say what it is; `hint` is what was noted of the last deployment."""

    settings: Settings
    variables: Mapping[str, str]
    hint: PreviousRevisionHint | None

    @property
    def cloud_run(self) -> CloudRun:
        """The service that a rollback moves. Raises SettingsError."""
        table = self.settings.target.cloud_run
        if table is None:
            raise SettingsError(
                f"environments.{self.settings.environment} has no cloud_run table",
                "Add it: a rollback moves Cloud Run's traffic.",
            )
        return CloudRun(table)

    def rollback(
        self, journal: Journal, output: Path, *, allowed: bool = True, dry_run: bool = False
    ) -> RollbackContext:
        """What a rollback with this `journal` acts in; `output` is the folder of all runs. Raises SettingsError."""
        history = history_in(output)
        return RollbackContext(self.settings, self.cloud_run, journal, history, self.variables, allowed, dry_run)


def history_in(output: Path) -> ServingHistory:
    """The record of what served when, which all runs below `output` share."""
    return ServingHistory(output / _HISTORY)


@contextmanager
def open_environment(file: Path, environment: str, *, after_a_run: bool = False) -> Iterator[EnvironmentContext]:
    """The `environment` of the deployment file. Raises SettingsError.

    `after_a_run`: do not start a sandbox; the one that the run had started ended with it.
    """
    settings, variables = load(file, environment).settings, dict(os.environ)
    if not settings.sandbox:
        noted = variables.get(PREVIOUS_REVISION, "")
        hint = PreviousRevisionHint(noted, f"environment variable {PREVIOUS_REVISION}") if noted else None
        yield EnvironmentContext(settings, variables, hint)
        return
    if after_a_run and not variables.get("SANDBOX"):
        raise SettingsError(
            "the sandbox was the run's own, and ended with it: there is nothing left to act on",
            "Keep one with `python -m sandbox --announce FILE`, and name it with SANDBOX=FILE.",
        )
    from verification.local_sandbox.sandbox import open_sandbox

    with open_sandbox(variables) as sandbox:
        hint = PreviousRevisionHint(sandbox.note().previous, "the sandbox's deployment note")
        yield EnvironmentContext(sandbox.settings(settings), sandbox.variables(variables), hint)
