"""`python -m reports join` and `attach`: several phases of one release as one ticket, and handing it over."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from reports.command_line import CommandExit, Subcommands
from reports.page import full_page, page_title
from reports.run_files import RunFiles
from reports.text import one_line
from reports.tickets.merge_runs import merge_runs
from reports.tickets.ticket import DeployTicket, attach, waiting
from verification.errors import SettingsError
from verification.local_sandbox.sandbox import open_sandbox
from verification.records.atomic import write_whole
from verification.settings.loading import load


def add_join(commands: Subcommands) -> None:
    """`join`: several runs of one release on one page."""
    parser = commands.add_parser("join", help="several phases of one release as one ticket page")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--output", type=Path, default=Path("ticket.html"), metavar="FILE", help="default: ticket.html")
    parser.set_defaults(command=_join)


def _join(options: argparse.Namespace, console: Console) -> CommandExit:
    record = merge_runs([RunFiles(folder).read_record() for folder in options.runs])
    write_whole(options.output, full_page(record))
    console.print(f"{page_title(record)}\n{options.output}", soft_wrap=True, markup=False)
    return CommandExit.DONE


def add_attach(commands: Subcommands) -> None:
    """`attach`: hand a run's report to its tickets, now or again."""
    parser = commands.add_parser("attach", help="hand a run's report to its tickets")
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--ticket", action="append", default=[], help="as in a run; default: those that wait")
    parser.add_argument("--deployment", type=Path, default=Path("deployment.toml"), metavar="FILE")
    parser.set_defaults(command=_attach)


def _attach(options: argparse.Namespace, console: Console) -> CommandExit:
    record = RunFiles(options.folder).read_record()
    tickets = [DeployTicket.parse(text) for text in options.ticket] or waiting(options.folder)
    if not tickets:
        console.print("No ticket waits for this run's report. Name one with --ticket.", soft_wrap=True)
        return CommandExit.DONE
    settings, variables = load(options.deployment, record.environment).settings, dict(options.variables)
    with ExitStack() as stack:
        if settings.sandbox:
            if "SANDBOX" not in variables:
                raise SettingsError("the sandbox of this run has ended", "Set SANDBOX to one that runs.")
            sandbox = stack.enter_context(open_sandbox(variables))
            settings, variables = sandbox.settings(settings), sandbox.variables(variables)
        statuses = attach(options.folder, tickets, settings, variables)
    for status in statuses:
        console.print(one_line(status), soft_wrap=True, markup=False)
    return CommandExit.NOT_DONE if any(status.state == "queued" for status in statuses) else CommandExit.DONE
