"""`python -m reports log`, `metrics`, `join`, `attach`: what became of deployments, and their tickets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from reports.command_line import CommandExit, CommandParser
from reports.deployments.commands import add_log, add_metrics
from reports.tickets.commands import add_attach, add_join
from verification.errors import ObserverError, SettingsError
from verification.redaction import redact

_PIPED_WIDTH = 200
_EPILOG = "exit codes: 0 done; 1 not done, the reason is printed; 4 wrong usage; 75 something could not be read"

Command = Callable[[argparse.Namespace, Console], CommandExit]


def main(arguments: Sequence[str] | None = None, variables: Mapping[str, str] = os.environ) -> int:
    """Run the command line and answer with the exit code."""
    options = _parser().parse_args(arguments)
    options.variables = variables
    command: Command = options.command
    try:
        return command(options, Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH))
    except SettingsError as mistake:
        print(redact(str(mistake)), file=sys.stderr)
        return CommandExit.USAGE
    except ObserverError as problem:
        print(redact(str(problem)), file=sys.stderr)
        return CommandExit.UNKNOWN
    except BrokenPipeError:  # whoever read it, such as `head`, has seen enough
        sys.stdout = None  # or Python complains at its end, when it cannot write what is left
        return CommandExit.DONE
    except OSError as error:
        print(f"{error.filename} cannot be read or written: {error.strerror}", file=sys.stderr)
        return CommandExit.NOT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m reports", description=__doc__, epilog=_EPILOG)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_log, add_metrics, add_join, add_attach):
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
