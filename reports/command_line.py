"""What the commands of `python -m reports` have in common."""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 4
    UNKNOWN = 75


class Parser(argparse.ArgumentParser):
    """A parser that ends with our exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


Subcommands = argparse._SubParsersAction[Parser]  # noqa: SLF001  (argparse has no public name for it)
