"""The options of a verification run, and the run that they ask for."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from verification.criteria.selection import refuse_options
from verification.criteria.sign_off import read_sign_offs
from verification.errors import SettingsError
from verification.records.rollback_plan import PreviousRevisionHint
from verification.records.run_record import RunRecord
from verification.redaction import redact, register_variables
from verification.run.run import Run
from verification.settings.loading import load

_OF_A_RUN = ("--fault", "--no-rollback", "--dry-run", "--revision", "--profile", "--sign-off", "--resume", "--ticket")


def add_options(parser: pytest.Parser, root: Path) -> None:
    """Declare them; the suite's own tests need none of them. `root` is the project's folder."""
    group = parser.getgroup("deployment verification")
    repeated = partial(group.addoption, action="append", default=[])
    group.addoption("--env", metavar="NAME", help="the environment of deployment.toml to verify; there is no default")
    group.addoption(
        "--deployment", metavar="FILE", default=str(root / "deployment.toml"), help="another deployment.toml"
    )
    repeated(
        "--fault",
        metavar="NAME[,NAME]",
        help="sandbox only: deploy a revision with this fault, or break an observer, before the phase; may be repeated",
    )
    group.addoption(
        "--output",
        metavar="DIR",
        default=str(root / "reports" / "output"),
        help="where runs land (default: reports/output)",
    )
    repeated(
        "--ticket",
        metavar="TICKET",
        help="attach report and summary: github:NUMBER, github-release:TAG, jira:KEY-NUMBER or slack; may be repeated",
    )
    group.addoption("--no-rollback", action="store_true", help="verify and report, but leave production as it is")
    group.addoption("--dry-run", action="store_true", help="do everything but write, and say what would have been done")
    repeated(
        "--profile",
        choices=["standard", "hotfix", "high-risk", "migration"],
        help="hotfix: no soak, no window; high-risk: breaking changes are declared; migration: a backup is tried; "
        "may be repeated",
    )
    group.addoption(
        "--resume",
        metavar="RUN",
        help="go on with the watch of a run that was cut off: its folder, or `last` for the newest of the environment",
    )
    group.addoption("--commit", metavar="SHA", help="the commit to be released (default: what is checked out)")
    group.addoption("--revision", metavar="NAME", help="the revision that was deployed (default: the newest one)")
    group.addoption(
        "--previous-revision",
        metavar="NAME",
        default=os.environ.get("PREVIOUS_REVISION"),
        help="the revision that served before (default: the variable PREVIOUS_REVISION, else what earlier runs saw)",
    )
    repeated(
        "--sign-off",
        metavar="LINE=NAME",
        help="NAME answers for a line that a person must look at, such as user_feedback_reviewed; may be repeated",
    )


def run_from_options(config: pytest.Config) -> Run | None:
    """The run that the options ask for; None without `--env`. Raises pytest.UsageError for what cannot be asked for."""
    environment = config.getoption("--env")
    if environment is None:
        given = next((option for option in _OF_A_RUN if config.getoption(option)), None)
        if given:
            raise pytest.UsageError(f"{given} needs --env")
        return None
    register_variables(os.environ)
    refuse_options(config)
    faults = _faults(config)
    deployment = Path(config.getoption("--deployment"))
    try:
        loaded = load(deployment, environment)
        sign_offs = read_sign_offs(config.getoption("--sign-off"))
    except SettingsError as error:
        raise pytest.UsageError(redact(str(error))) from None
    if faults and not loaded.settings.sandbox:
        raise pytest.UsageError(f"--fault is for the sandbox only, and --env is {environment}. Use --env sandbox.")
    previous = config.getoption("--previous-revision")
    record = RunRecord(
        environment=loaded.settings.environment,
        dry_run=config.getoption("--dry-run"),
        profiles=tuple(dict.fromkeys(config.getoption("--profile"))),
    )
    return Run(
        loaded.settings,
        deployment,
        record,
        sources=loaded.sources,
        faults=faults,
        hint=PreviousRevisionHint(previous, "--previous-revision") if previous else None,
        revision=config.getoption("--revision") or "",
        commit=config.getoption("--commit") or "",
        sign_offs=sign_offs,
        resume=_resumed(config, environment),
    )


def _faults(config: pytest.Config) -> tuple[str, ...]:
    given = config.getoption("--fault")
    faults = tuple(name.strip() for option in given for name in option.split(",") if name.strip())
    if given and not faults:
        raise pytest.UsageError("--fault names no fault: a drill without one would pass whatever is broken")
    return faults


def _resumed(config: pytest.Config, environment: str) -> Path | None:
    named = config.getoption("--resume")
    if named is None:
        return None
    from verification.watch.setup import newest_watch

    found = newest_watch(Path(config.getoption("--output")), environment) if named == "last" else Path(named)
    if found is None or not found.is_dir():
        raise pytest.UsageError(f"--resume {named}: there is no such run. Name the folder of one that was cut off.")
    return found.resolve()
