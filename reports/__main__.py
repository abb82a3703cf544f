"""`python -m reports join RUN...`: several phases of one release as one ticket; `attach RUN`: hand it to the ticket."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from reports import html, record_file
from reports.joining import join
from reports.ticket import Ticket, attach, waiting
from reports.writing import one_line
from verification.errors import SettingsError, VerificationError
from verification.files import write_whole
from verification.loading import load
from verification.local_sandbox import open_sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 not done (the reason is printed), 2 wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_join(commands)
    _add_attach(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except VerificationError as error:
        print(f"{error.cause}\n{error.remedy}".strip(), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1


def _add_join(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("join", help="several phases of one release as one ticket page")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--output", type=Path, default=Path("ticket.html"), metavar="FILE", help="default: ticket.html")
    parser.set_defaults(run=_join)


def _join(options: argparse.Namespace) -> int:
    record = join([record_file.read(folder / "record.json") for folder in options.runs])
    write_whole(options.output, html.ticket(record))
    print(f"{html.title(record)}\n{options.output}")
    return 0


def _add_attach(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("attach", help="hand a run's report to its tickets")
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--ticket", action="append", default=[], help="as in a run; default: those that wait")
    parser.add_argument("--deployment", type=Path, default=Path("deployment.toml"), metavar="FILE")
    parser.set_defaults(run=_attach)


def _attach(options: argparse.Namespace) -> int:
    record = record_file.read(options.folder / "record.json")
    tickets = [Ticket.parse(one) for one in options.ticket] or waiting(options.folder)
    if not tickets:
        print("No ticket waits for this run's report. Name one with --ticket.")
        return 0
    settings, variables = load(options.deployment, record.environment).settings, dict(os.environ)
    with ExitStack() as stack:
        if settings.sandbox:
            if "SANDBOX" not in variables:
                raise SettingsError("the sandbox of this run has ended", "Set SANDBOX to one that runs.")
            sandbox = stack.enter_context(open_sandbox(variables))
            settings, variables = sandbox.settings(settings), sandbox.variables(variables)
        entries = attach(options.folder, tickets, settings, variables)
    for one in entries:
        print(f"{one.ticket}: {one.state}{': ' if one.problem else ''}{one_line(one.problem)}")
    return int(any(one.state == "queued" for one in entries))


if __name__ == "__main__":
    sys.exit(main())
