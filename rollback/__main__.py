"""`python -m rollback -e production -n 1`: roll back by hand; `... status -e production`: look first.

`python -m rollback resume -e production`: bring to its end what a killed run left undone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from rollback.context import EnvironmentContext, open_environment
from rollback.manual import ManualRequest, roll_back_manually
from rollback.preflight import take_snapshot
from rollback.status import show
from rollback.supervisor.pending import open_run_lines
from rollback.supervisor.resume import Resumption, resume_all
from verification.deadline import now
from verification.errors import ObserverError, SettingsError
from verification.output import run_unblocked
from verification.records.journal import JOURNAL, Journal
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.redaction import redact

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "reports" / "output"
_PIPED_WIDTH = 200
_STATUS_LISTS = 15
_EPILOG = """\
exit codes: 0 the wanted revision serves and answers well; 1 withheld, nothing was changed (a dry run too);
4 wrong usage; 70 failed, or not verified: a person is needed now; 75 the status could not be read

Without --to-revision, the previous revision is the one by which users were answered before (request log), that this
suite saw serving (reports/output/serving.jsonl) and that the deploy workflow noted (variable PREVIOUS_REVISION): all of
them that can tell must agree. It is never the second in a list, nor one that was rolled back or failed."""


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    WITHHELD = 1
    USAGE = 4
    FAILED = 70
    UNKNOWN = 75


_SEVERITY = (Exit.DONE, Exit.UNKNOWN, Exit.WITHHELD, Exit.FAILED)  # of several runs the worst is told


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and answer with the exit code."""
    options = _parser().parse_intermixed_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    try:
        if options.command == "resume":
            return _resume(console, options)
        with open_environment(options.deployment, options.environment) as environment:
            if options.command == "status":
                return _status(console, environment, options)
            return _roll_back(console, environment, options)
    except SettingsError as mistake:
        print(redact(str(mistake)), file=sys.stderr)
        return Exit.USAGE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m rollback",
        description="Send all traffic back to the revision that served before.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["status", "resume"],
        help="status: only show what serves and what would be rolled back to; resume: bring to its end what killed "
        "runs left undone",
    )
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="with resume: one run's folder (default: all that are not settled)"
    )
    parser.add_argument("-e", "--env", dest="environment", required=True, help="an environment of the deployment file")
    parser.add_argument(
        "--deployment", type=Path, default=ROOT / "deployment.toml", metavar="FILE", help="default: deployment.toml"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="default: reports/output")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-n", dest="steps", type=_steps, metavar="N", help="how many revisions back (default 1)")
    which.add_argument("--to-revision", default="", metavar="NAME", help="the revision that shall serve")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing to Cloud Run")
    return parser


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of steps: 1, 2, ...")
    return int(text)


def _resume(console: Console, options: argparse.Namespace) -> int:
    request = Resumption(options.deployment, options.environment, options.output, "`python -m rollback resume`")
    resumed = resume_all(request, options.run)
    _say(console, *(line for result in resumed for line in (f"run   {result.run}" if result.run else "", result.text)))
    return max((result.exit_code for result in resumed), key=_SEVERITY.index, default=Exit.DONE)


def _status(console: Console, environment: EnvironmentContext, options: argparse.Namespace) -> int:
    context = environment.rollback(Journal(options.output / JOURNAL), options.output)
    snapshot = take_snapshot(context, environment.hint)
    shares = snapshot.service.shares if snapshot.service else None
    _say(console, *open_run_lines(options.output, environment.settings.environment, shares))
    try:
        if snapshot.service is None:
            raise ObserverError("; ".join(obstacle.text for obstacle in snapshot.plan.obstacles))
        revisions = context.cloud_run.revisions(_STATUS_LISTS)
    except ObserverError as problem:
        print(redact(str(problem)), file=sys.stderr)
        return Exit.UNKNOWN
    past = context.history.about(context.cloud_run.settings)
    bad = {revision.name for revision in revisions if past.is_marked_bad(revision.name)}
    show(console, snapshot, snapshot.service, revisions, bad)
    return Exit.DONE


def _roll_back(console: Console, environment: EnvironmentContext, options: argparse.Namespace) -> int:
    name = environment.settings.environment
    journal = Journal(options.output / f"{now():%Y%m%dT%H%M%SZ}-{name}-rollback" / JOURNAL)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    request = ManualRequest(options.steps or 1, options.to_revision, environment.hint, at_terminal)
    context = environment.rollback(journal, options.output, dry_run=options.dry_run)
    return _report(console, roll_back_manually(request, context, lambda line: _say(console, line)))


def _report(console: Console, result: RollbackResult) -> int:
    for check in result.checks:
        _say(console, f"check {check.name}: {check.value} {check.unit}".rstrip())
    _say(console, f"{result.outcome.value}: {result.reason}", result.next_step)
    if result.outcome is RollbackOutcome.DONE:
        return Exit.DONE if result.verified else Exit.FAILED
    return Exit.FAILED if result.outcome is RollbackOutcome.FAILED else Exit.WITHHELD


def _say(console: Console, *lines: str) -> None:
    for line in filter(None, lines):
        console.print(redact(line), soft_wrap=True, markup=False)


if __name__ == "__main__":
    run_unblocked(main)
