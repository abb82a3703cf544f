"""Where a rollback happens, when pytest is not there to say so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from verification.clients.google.cloud_run import CloudRun
from verification.errors import SettingsError
from verification.settings.loading import load
from verification.settings.model import Settings

NOTE = "PREVIOUS_REVISION"


@dataclass(frozen=True, slots=True)
class World:
    """The settings of an environment, the variables that hold its secrets, and what was noted of the last deployment.

    `given` is the previous revision, and who noted it.
    """

    settings: Settings
    variables: Mapping[str, str]
    given: tuple[str, str] | None

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


@contextmanager
def open_world(file: Path, environment: str, *, after_a_run: bool = False) -> Iterator[World]:
    """The `environment` of the deployment file. Raises SettingsError.

    `after_a_run`: do not start a sandbox; the one that the run had started ended with it.
    """
    settings, variables = load(file, environment).settings, dict(os.environ)
    if not settings.sandbox:
        noted = variables.get(NOTE, "")
        yield World(settings, variables, (noted, f"environment variable {NOTE}") if noted else None)
        return
    if after_a_run and not variables.get("SANDBOX"):
        raise SettingsError(
            "the sandbox was the run's own, and ended with it: there is nothing left to act on",
            "Keep one with `python -m sandbox --announce FILE`, and name it with SANDBOX=FILE.",
        )
    from verification.local_sandbox import open_sandbox

    with open_sandbox(variables) as sandbox:
        given = (sandbox.note().previous, "the sandbox's deployment note")
        yield World(sandbox.settings(settings), sandbox.variables(variables), given)
