"""`python -m rollback -e production -n 1`: roll back by hand; `... status -e production`: look first.

`python -m rollback resume -e production`: bring to its end what a killed run left undone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from rollback.context import World, open_world
from rollback.executor import Order, roll_back_by_hand
from rollback.manual import Request, commit_of, order_for
from rollback.notify.outbox import call_people, send_queued
from rollback.notify.restore_offer import with_restore_offer
from rollback.preflight import survey
from rollback.previous_revision import candidates_text
from rollback.serving_history import ServingRecord
from rollback.status import show, unsettled
from rollback.supervisor.pending import BY_HAND, Left, newest
from rollback.supervisor.resume import Place, bring_to_an_end
from verification.clients.google.cloud_run import CloudRun, RevisionState
from verification.errors import ObserverError, RollbackFailed, RollbackWithheld, SettingsError
from verification.records.deployment_log import open_log
from verification.records.events import keep, rolled_back_by_hand
from verification.records.journal import Journal
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.redaction import redact
from verification.settings.model import Settings
from verification.verdict import now

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "reports" / "output"
_PIPED_WIDTH = 200
_STATUS_LISTS = 15
_EPILOG = """\
exit codes: 0 the wanted revision serves and answers well; 1 withheld, nothing was changed (a dry run too);
4 wrong usage; 70 failed, or not verified: a person is needed now; 75 the status could not be read

Without --to-revision, the previous revision is the one that was seen serving before, by the deploy workflow
(variable PREVIOUS_REVISION) or by this suite (reports/output/serving.jsonl), never the second in a list."""


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    WITHHELD = 1
    USAGE = 4
    FAILED = 70
    UNKNOWN = 75


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
        with open_world(options.deployment, options.environment) as world:
            cloud_run, history = world.cloud_run, ServingRecord(options.output / "serving.jsonl")
            if options.command == "status":
                return _status(console, world, cloud_run, history, options)
            return _roll_back(console, world, cloud_run, history, options)
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
        help="status: only show what serves and what would be rolled back to; resume: bring to its end what the newest "
        "run left undone, if it was killed",
    )
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="with resume: the run's folder (default: the environment's newest)"
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
    code = _bring_to_an_end(console, options)
    try:
        with open_world(options.deployment, options.environment, after_a_run=True) as world:
            _say(console, *send_queued(options.output, world.settings, world.variables))
    except SettingsError as problem:  # a sandbox that is gone calls nobody
        _say(console, problem.cause)
    return code


def _bring_to_an_end(console: Console, options: argparse.Namespace) -> int:
    found = options.run / "journal.jsonl" if options.run else newest(options.output, options.environment)
    if found is None:
        _say(console, f"no run of {options.environment} has been made below {options.output}: nothing is due")
        return Exit.DONE
    _say(console, f"run   {found.parent.name}")
    left = Left.of(found)
    if not left.entries:
        _say(
            console,
            "it left no journal, as it ended before it asked anything: whether the release is good is not known",
            f"To find out: `pytest -m smoke --env {options.environment}`",
        )
        return Exit.UNKNOWN
    if left.environment and left.environment != options.environment:
        raise SettingsError(f"{found.parent} is a run of {left.environment}", "Name that one with -e.")
    if left.settled is None and left.process is not None and left.process.lives:
        _say(console, f"its process ({left.process.pid}) is running: it rolls back itself, if it must")
        return Exit.WITHHELD
    place = Place(options.deployment, options.environment, options.output, found)
    ended = bring_to_an_end(place, "`python -m rollback resume`")
    _say(console, ended.said)
    return ended.exit_code


def _status(
    console: Console, world: World, cloud_run: CloudRun, history: ServingRecord, options: argparse.Namespace
) -> int:
    _say(console, *unsettled(options.output, options.environment))
    known = survey(world.settings, cloud_run, history, world.given)
    try:
        if known.serving is None:
            raise ObserverError("; ".join(known.obstacles))
        revisions = cloud_run.revisions(_STATUS_LISTS)
    except ObserverError as problem:
        print(redact(str(problem)), file=sys.stderr)
        return Exit.UNKNOWN
    show(console, known, known.serving, revisions, history.of(cloud_run.settings))
    return Exit.DONE


def _roll_back(
    console: Console, world: World, cloud_run: CloudRun, history: ServingRecord, options: argparse.Namespace
) -> int:
    environment = world.settings.environment
    journal = Journal(options.output / f"{now():%Y%m%dT%H%M%SZ}-{environment}-rollback" / "journal.jsonl")
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    request = Request(options.steps or 1, options.to_revision, world.given, _ask if at_terminal else None)
    try:
        order = order_for(request, world.settings, cloud_run, history)
    except (RollbackWithheld, RollbackFailed) as problem:
        failed = isinstance(problem, RollbackFailed)
        outcome = RollbackOutcome.FAILED if failed else RollbackOutcome.WITHHELD
        return _report(console, RollbackResult(outcome, reason=problem.cause, next_step=problem.remedy))
    _say(console, f"from  {order.source}", f"to    {order.target} ({order.evidence})")
    journal.armed(
        cloud_run.settings,
        environment=environment,
        policy=BY_HAND,
        revision=order.source,
        previous=order.target,
        evidence=order.evidence,
    )
    result = roll_back_by_hand(
        order,
        settings=world.settings,
        cloud_run=cloud_run,
        journal=journal,
        history=history,
        dry_run=options.dry_run,
        variables=world.variables,
    )
    if order.taken_out:
        commit = commit_of(cloud_run, order.taken_out[0])
        result = with_restore_offer(result, world.settings, options.output, commit)
    moved = bool(result.strategy) or result.outcome is RollbackOutcome.FAILED
    if moved or options.dry_run:  # else nothing has happened that the person at the keyboard does not see
        _say(console, *call_people(world.settings, world.variables, journal, result, dry_run=options.dry_run))
    _say(console, _logged(world.settings, order, result, journal.path.parent))
    return _report(console, result)


def _logged(settings: Settings, order: Order, result: RollbackResult, run: Path) -> str:
    """Tell the deployment log; what went wrong with that, or nothing: the rollback is what it is."""
    assert settings.target.cloud_run is not None, "it was rolled back"
    service = settings.target.cloud_run.service
    taken_out = [name for name in order.shares if name != order.target]
    try:
        log = open_log(settings.deployment_log, run.parent, os.environ)
    except SettingsError as mistake:
        return f"the deployment log was not written: {mistake.cause}"
    return keep(log, rolled_back_by_hand(settings.environment, service, taken_out, result, run.name))


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


def _ask(found: Sequence[RevisionState], problem: str) -> str:
    print(redact(problem))
    print(redact(candidates_text(found)))
    try:
        answer = input("Name of the revision that shall serve (empty: none): ").strip()
    except EOFError:
        return ""
    return answer if answer in {one.name for one in found} else ""


if __name__ == "__main__":
    sys.exit(main())
