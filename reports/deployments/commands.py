"""`python -m reports log` and `metrics`: what became of all deployments."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from reports.command_line import CommandExit, Subcommands
from reports.deployments import log_table, metrics_table
from verification.deadline import now
from verification.errors import SettingsError
from verification.records.deployment_log import open_log
from verification.records.deployments import Deployment
from verification.records.metrics import by_month, over_all
from verification.redaction import redact
from verification.settings.followup import DeploymentLogSettings
from verification.settings.loading import environments, load

ROOT = Path(__file__).parents[2]
_MONTHS_SHOWN = 3


def add_log(commands: Subcommands) -> None:
    """`log`: a line for each deployment."""
    parser = commands.add_parser("log", help="every deployment: when, what, its verdicts, its rollback, who signed")
    _add_what_all_take(parser)
    parser.set_defaults(command=_log)


def add_metrics(commands: Subcommands) -> None:
    """`metrics`: the checklist's table, filled in."""
    parser = commands.add_parser("metrics", help="the checklist's metrics against their targets, by month")
    _add_what_all_take(parser)
    parser.set_defaults(command=_metrics)


def _add_what_all_take(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-e", "--env", dest="environment", help="one environment of the deployment file (default: all)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--deployment", type=Path, default=ROOT / "deployment.toml", metavar="FILE", help="default: deployment.toml"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "reports" / "output", metavar="DIR", help="default: reports/output"
    )


def _log(options: argparse.Namespace, console: Console) -> CommandExit:
    found, place = _read(options)
    every = [deployment for deployments in found.values() for deployment in deployments]
    every.sort(key=lambda deployment: deployment.deployed)
    if options.json:
        entries = tuple(map(log_table.DeploymentEntry.model_validate, every))
        print(redact(log_table.DeploymentLogFile(place=place, deployments=entries).model_dump_json(indent=2)))
        return CommandExit.DONE
    if not every:
        console.print(f"no deployment is in {place} yet", soft_wrap=True, markup=False)
        return CommandExit.DONE
    console.print(log_table.table(every, place))
    return CommandExit.DONE


def _metrics(options: argparse.Namespace, console: Console) -> CommandExit:
    found, place = _read(options)
    present = now()
    settings = {name: _settings(options, name) for name in found}
    months = {name: by_month(deployments, settings[name], present) for name, deployments in found.items()}
    overall = {name: over_all(several, settings[name], present) for name, several in found.items()}
    if options.json:
        whole = {
            name: tuple(map(metrics_table.PeriodEntry.model_validate, (overall[name], *months[name]))) for name in found
        }
        print(redact(metrics_table.MetricsFile(environments=whole).model_dump_json(indent=2)))
        return CommandExit.DONE
    if not found:
        console.print(f"no deployment is in {place} yet", soft_wrap=True, markup=False)
    for name in found:
        console.print(metrics_table.table(name, overall[name], months[name][-_MONTHS_SHOWN:]))
        if overall[name].too_few:
            console.print(overall[name].too_few, style="yellow")
        console.print(metrics_table.bars(months[name]), "")
    return CommandExit.DONE


def _read(options: argparse.Namespace) -> tuple[dict[str, list[Deployment]], str]:
    """The deployments by environment, and where they come from. Raises SettingsError, ObserverError."""
    wanted = options.environment
    log = open_log(_settings(options, wanted or ""), options.output, options.variables)
    found: dict[str, list[Deployment]] = {}
    for deployment in log.deployments():
        if wanted in {None, deployment.environment}:
            found.setdefault(deployment.environment, []).append(deployment)
    return found, log.place


def _settings(options: argparse.Namespace, environment: str) -> DeploymentLogSettings:
    """The table of `environment`; of the file's first one for an environment that the file does not have (any more)."""
    names = environments(options.deployment)
    if options.environment and options.environment not in names:
        raise SettingsError(
            f'there is no environment "{options.environment}" in {options.deployment}',
            f"It has: {', '.join(names)}.",
        )
    # Which project it is decides nothing here: nobody is asked but the log.
    variables = {"GOOGLE_CLOUD_PROJECT": "any", **options.variables}
    known = environment if environment in names else names[0]
    return load(options.deployment, known, variables).settings.deployment_log
