"""What the commands of `python -m reports` have in common."""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from typing import NoReturn, TypeAlias


class CommandExit(IntEnum):
    """The commands' exit codes."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 4
    UNKNOWN = 75


class CommandParser(argparse.ArgumentParser):
    """A parser that ends with our exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        self.print_usage(sys.stderr)
        self.exit(CommandExit.USAGE, f"{self.prog}: {message}\n")


# Where a command adds itself (argparse has no public name for it).
Subcommands: TypeAlias = "argparse._SubParsersAction[CommandParser]"  # noqa: SLF001
