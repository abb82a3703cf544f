"""`[release]`: where the checkout says what a release changes."""

from __future__ import annotations

from pydantic import Field

from verification.settings.code import Inside
from verification.settings.tables import Table, Text
from verification.settings.units import Seconds


class Release(Table):
    """`[release]`: paths and globs are relative to the checkout.

    Commits of the types `not_listed` (conventional commits) change nothing for users and need no changelog entry.
    """

    changelog: Inside = "CHANGELOG.md"
    not_listed: list[Text] = ["build", "chore", "ci", "docs", "refactor", "style", "test"]
    openapi: Inside | None = None
    migrations: list[Inside] = []
    git_timeout: Seconds = Field(default=30, gt=0)
