"""`[checkout]`, `[code]`, `[release]`: the service's source, how its people check it, what a release changes."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from verification.settings.tables import Table, Text
from verification.settings.units import Seconds

_SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1"})


def _command(value: object) -> object:
    if isinstance(value, str):
        value = shlex.split(value)  # raises ValueError for a quotation that does not end
        if _SHELL_WORDS & set(value):
            raise ValueError('a command is started without a shell; for one, write ["sh", "-c", "..."]')
    if not isinstance(value, list) or not value or not value[0]:
        raise ValueError('expected a command such as "poetry run pytest tests/ -v", or a list of its words')
    return tuple(value)


def inside(text: str) -> str:
    """`text`, when it is a path that stays inside the checkout. Raises ValueError."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError('expected a path inside the checkout, without ".." and without a "/" at its start')
    return text


Command = Annotated[tuple[str, ...], BeforeValidator(_command)]
Inside = Annotated[Text, AfterValidator(inside)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class CheckoutFolder(Table):
    """`[checkout]`: a git clone of the service. A relative `path` starts at the folder of deployment.toml."""

    path: Text


class Placeholders(Table):
    """`[code.placeholders]`: words that code in `paths` must not carry. `allowed` are globs, such as of demo files.

    Both are relative to the checkout.
    """

    paths: list[Inside] = Field(min_length=1)
    words: list[Word] = Field(default=["TODO", "FIXME", "MOCK", "STUB"], min_length=1)
    allowed: list[Inside] = []


class Code(Table):
    """`[code]`: commands are started in `directory` without a shell; `{python}` is the interpreter of this suite.

    `junit` and `coverage` are the files that the test command writes, relative to `directory`. Without `junit`,
    pytest is asked for one through PYTEST_ADDOPTS.
    """

    directory: Inside = "."
    tests: Command | None = None
    junit: Inside | None = None
    coverage: Inside | None = None
    quality: dict[Text, Command] | None = Field(default=None, min_length=1)
    within: Seconds = Field(default=1800, gt=0)
    placeholders: Placeholders | None = None

    @model_validator(mode="after")
    def _tests_write_them(self) -> Code:
        if self.tests is None and (self.junit or self.coverage):
            raise ValueError("junit and coverage are written by the command tests, which is missing")
        return self


class Release(Table):
    """`[release]`: paths and globs are relative to the checkout.

    Commits of the types `not_listed` (conventional commits) change nothing for users and need no changelog entry.
    """

    changelog: Inside = "CHANGELOG.md"
    not_listed: list[Text] = ["build", "chore", "ci", "docs", "refactor", "style", "test"]
    openapi: Inside | None = None
    migrations: list[Inside] = []
    git_timeout: Seconds = Field(default=30, gt=0)
