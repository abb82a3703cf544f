"""Bring to its end what a run left undone, without pytest: by the supervisor, or by `python -m rollback resume`.

A rollback that was due or under way is finished, with the plan that the run had stored and the guards of any other. A
phase that was cut off without a failure is followed by one smoke run, which rolls back if it fails; if it passes,
people are called, because nobody watches now. Whatever is unclear is for people too. The journal is read under a lock:
two at once do not act twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reports.run_files import RunFiles
from rollback.context import EnvironmentContext, open_environment
from rollback.executor import clear_up, execute, longest_rollback
from rollback.locks import sole_resume
from rollback.notify.outbox import call_after_a_kill, has_called, send_open, send_queued
from rollback.supervisor.pending import Pending, open_runs, pending, superseded, without_journal
from rollback.supervisor.rerun_smoke import rerun_smoke
from verification.clients.google.cloud_run import CloudRun
from verification.errors import RollbackWithheld, SettingsError, VerificationError
from verification.operator_commands import look_again, resume, roll_back, shift_now
from verification.records.journal import JOURNAL, Journal, JournalEvent, JournalView, journals
from verification.records.rollback_plan import RequestedBy
from verification.records.run_record import ExitCode, RollbackOutcome, RollbackResult
from verification.settings.loading import load
from verification.settings.model import Settings

_UNDER_WAY = "a rollback that was under way"
_UNMOVED = (RollbackOutcome.WITHHELD, RollbackOutcome.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Resumption:
    """What is needed to act in the stead of a run of `environment`, and who does (`by`)."""

    deployment: Path
    environment: str
    output: Path
    by: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """What came of `run`: `text` for whoever is at the terminal, and the exit code.

    `acted` is False when there was nothing to do.
    """

    text: str
    exit_code: int
    acted: bool = True
    run: str = ""


def resume_all(request: Resumption, folder: Path | None = None) -> list[Resumed]:
    """Do what every run of the environment owes that is about what serves now, or the one in `folder`.

    What could not be said to people before is said then. Raises SettingsError when `folder` is another environment's.
    """
    resumed = _resume_open(request) if folder is None else [_resume_ended(request, JournalView.read(folder / JOURNAL))]
    try:
        with open_environment(request.deployment, request.environment, after_a_run=True) as environment:
            resumed += _take_tags_away(request, environment.cloud_run, folder)
            told = send_queued(request.output, environment.settings, environment.variables)
    except SettingsError as problem:  # a sandbox that is gone calls nobody
        told = (problem.cause,)
    return [*resumed, *(Resumed(line, ExitCode.PASS, acted=False) for line in told)]


def _take_tags_away(request: Resumption, cloud_run: CloudRun, folder: Path | None) -> Iterator[Resumed]:
    """What ended runs have left of their controls, or the one in `folder`: also those that owe nothing else."""
    for run in journals(request.output, request.environment):
        if folder not in {None, run.path.parent} or run.identity.is_running or not run.control_tags:
            continue
        problem = clear_up(cloud_run, Journal(run.path))
        text = problem or f"the tag of its control is gone: {', '.join(run.control_tags)}"
        yield Resumed(text, ExitCode.INCONCLUSIVE if problem else ExitCode.PASS, acted=not problem, run=run.run)


def _resume_open(request: Resumption) -> list[Resumed]:
    resumed: list[Resumed] = []
    seen: set[Path] = set()
    while True:  # read anew each time: a smoke run may have settled what several runs owed
        shares = _serving(request)
        due = [run for run in open_runs(request.output, request.environment, shares) if run.path not in seen]
        if not due:
            return [*resumed, *_settle_superseded(request, shares)] or _nothing_open(request)
        seen.add(due[0].path)
        resumed.append(_resume_ended(request, due[0]))


def _resume_ended(request: Resumption, run: JournalView) -> Resumed:
    environment = run.identity.environment
    if environment and environment != request.environment:
        raise SettingsError(f"{run.path.parent} is a run of {environment}", "Name that one with -e.")
    if not run.entries:
        return _silent(request, run.run)
    if not run.is_settled and run.identity.is_running:
        text = f"its process ({run.identity.pid}) is running: it rolls back itself, if it must"
        return Resumed(text, ExitCode.FAIL, acted=False, run=run.run)
    return replace(resume_run(request, run.path), run=run.run)


def _settle_superseded(request: Resumption, shares: Mapping[str, int] | None) -> list[Resumed]:
    """Settle what is not about what serves now; without a word where somebody may still be at it."""
    runs, settled = journals(request.output, request.environment), []
    for run in runs:
        reason = (
            superseded(run, runs, shares) if pending(run) is not Pending.NOTHING and not run.identity.is_running else ""
        )
        if reason:
            Journal(run.path).settled(RollbackResult(RollbackOutcome.NOT_NEEDED, reason=reason), by=request.by)
            settled.append(Resumed(f"nothing is due any more: {reason}", ExitCode.PASS, acted=False, run=run.run))
    return settled


def _nothing_open(request: Resumption) -> list[Resumed]:
    runs = journals(request.output, request.environment)
    silent = [_silent(request, folder.name) for folder in without_journal(request.output, request.environment, runs)]
    if silent:
        return silent
    if not runs:
        text = f"no run of {request.environment} has been made below {request.output}: nothing is due"
        return [Resumed(text, ExitCode.PASS, acted=False)]
    return [_resume_ended(request, runs[0])]


def _silent(request: Resumption, run: str) -> Resumed:
    text = (
        "it left no journal, as it ended before it asked anything: whether the release is good is not known\n"
        f"To find out: `{look_again(request.environment)}`"
    )
    return Resumed(text, ExitCode.INCONCLUSIVE, acted=False, run=run)


def _serving(request: Resumption) -> Mapping[str, int] | None:
    """What serves now; None where nobody can tell."""
    try:
        with open_environment(request.deployment, request.environment, after_a_run=True) as environment:
            return environment.cloud_run.service().shares
    except VerificationError:
        return None


def resume_run(request: Resumption, journal: Path) -> Resumed:
    """Do what the run of `journal` owes, once. Never raises; the run's process must have ended."""
    settings: Settings | None = None
    try:
        settings = load(request.deployment, request.environment).settings
        within = _longest(settings)
        with sole_resume(journal, within) as alone:
            if not alone:
                cause = f"somebody else has been bringing this run to its end for {within:g} s"
                raise RollbackWithheld(cause, "Look at what serves.", "another_rollback")
            view = JournalView.read(journal)
            if pending(view) is Pending.NOTHING and view.entries:
                return _nothing_pending(view, settings)
            with open_environment(request.deployment, request.environment, after_a_run=True) as environment:
                return _Resume(request, environment, view).run()
    except Exception as error:
        problem = error if isinstance(error, VerificationError) else None
        cause = problem.cause if problem else f"{type(error).__name__}: {error}"
        remedy = problem.remedy if problem else f"Look at what serves, then: `{resume(request.environment)}`"
        return _given_up(request, journal, settings, f"{request.by} could not act: {cause}. {remedy}")


def _nothing_pending(view: JournalView, settings: Settings) -> Resumed:
    result = view.result
    if result is None:
        return Resumed("it ended before it did anything: nothing is due", ExitCode.PASS, acted=False)
    reason = f", {result.reason}" if result.reason else ""
    text = f"the run is settled (rollback: {result.outcome.value}{reason}): nothing is due"
    files, told = RunFiles(view.path.parent), ""
    if files.is_unfinished:
        # It was killed after its last step, before its report: what is written there is all that there will be.
        if result.outcome is not RollbackOutcome.NOT_NEEDED and not has_called(view):
            message = f"The run {view.run} was killed before its report. {_sentence(result)} {result.next_step}".strip()
            told = call_after_a_kill(settings, os.environ, Journal(view.path), message, result)
        elif settings.targets:  # else it was the run's own sandbox, and whom it names is gone with it
            send_open(view.path, settings, os.environ)
        files.finish_killed(settings.environment, text, result)
    said = "\n".join(filter(None, (told, text)))
    code = _exit_code(result, passed=result.outcome is RollbackOutcome.NOT_NEEDED)
    return Resumed(said, code, acted=bool(told))


def _given_up(request: Resumption, journal: Path, settings: Settings | None, message: str) -> Resumed:
    """Even then somebody is called, and the run's folder says so."""
    view = JournalView.read(journal)
    command = f"To roll back: `{roll_back(request.environment, view.plan.target if view.plan else '')}`"
    message = f"{_what_happened(view)} {message} {command}"
    failed = RollbackResult(RollbackOutcome.FAILED, view.triggers, next_step=command)
    RunFiles(journal.parent).finish_killed(request.environment, message, failed)
    said = call_after_a_kill(settings, os.environ, Journal(journal), message, failed) if settings else message
    return Resumed(said, ExitCode.ROLLBACK_FAILED)


def _what_happened(view: JournalView) -> str:
    if view.triggers:
        return f"The run {view.run} ended before its rollback was finished (triggered by {', '.join(view.triggers)})."
    return f"The run {view.run} was cut off."


def _longest(settings: Settings) -> float:
    """How long another one may be at it, in seconds."""
    return settings.smoke.within + longest_rollback(settings)


class _Resume:
    def __init__(self, request: Resumption, environment: EnvironmentContext, view: JournalView) -> None:
        self._request = request
        self._environment = environment
        self._view = view
        self._journal = Journal(view.path)
        self._target = view.plan.target if view.plan else ""

    def run(self) -> Resumed:
        due = pending(self._view)
        self._journal.write(JournalEvent.RESUMED, by=self._request.by, due=due.value)
        try:
            if due is Pending.ROLLBACK:
                return self._finish(self._finish_rollback(self._view), "")
            return self._after_smoke()
        except VerificationError:
            raise
        except Exception as error:
            command = shift_now(self._environment.cloud_run.settings, self._target)
            raise RollbackWithheld(f"it went wrong: {type(error).__name__}: {error}", command) from error

    def _finish_rollback(self, view: JournalView) -> RollbackResult:
        """Carry out the plan of `view`, whose journal goes on. Raises RollbackWithheld for another service's."""
        table, plan = self._environment.cloud_run.settings, view.plan
        assert plan is not None, "else no rollback is due"
        if view.service != (table.project, table.region, table.service):
            raise RollbackWithheld(
                f"the journal is about {'/'.join(view.service or ())}, and the deployment file now names "
                f"{table.project}/{table.region}/{table.service}",
                "Look at what serves.",
            )
        context = self._environment.rollback(
            Journal(view.path), self._request.output, allowed=view.identity.allowed, dry_run=view.identity.dry_run
        )
        # One that has begun to act was wanted, whatever became of the line that says why.
        unasked = plan.requested_by is RequestedBy.FAILURE
        return execute(plan, context, view.triggers or ((_UNDER_WAY,) if unasked else ()))

    def _after_smoke(self) -> Resumed:
        """One smoke run in the place of the phase that was cut off; what it left undone in its turn is finished."""
        request, view = self._request, self._view
        within = _longest(self._environment.settings)
        smoke = rerun_smoke(view, request.environment, request.deployment, request.output, within)
        if smoke.journal is not None and pending(smoke.journal) is Pending.ROLLBACK:
            return self._finish(self._finish_rollback(smoke.journal), "the smoke run failed, and was cut off itself")
        if smoke.journal is not None and smoke.blind and self._target and view.identity.allowed:
            text = f"{smoke.text}; it could not see what serves, which the run before it had seen"
            return self._finish(self._finish_rollback(view.with_failures_of(smoke.journal)), text)
        text = smoke.text
        if smoke.passed:
            again = look_again(request.environment, "monitor")
            text = f"The watch was cut off; smoke passes; nobody watches now: run `{again}`"
        return self._finish(smoke.result, text, passed=smoke.passed, told_by=smoke.told_by)

    def _finish(self, result: RollbackResult, text: str, *, passed: bool = False, told_by: str = "") -> Resumed:
        """Call people, write down what was done, and settle the journal: in this order, so that none is left out."""
        by, view = self._request.by, self._view
        parts = [_what_happened(view), f"{by[:1].upper()}{by[1:]} took over."]
        parts += [f"{text.rstrip('.')}."] if text else []
        if result.outcome is not RollbackOutcome.NOT_NEEDED:
            parts.append(_sentence(result))
        stays = clear_up(self._environment.cloud_run, self._journal)
        parts += [f"{stays}."] if stays else []
        next_step = result.next_step or f"To roll back: `{roll_back(self._request.environment, self._target)}`"
        summary = " ".join(parts)
        result = replace(result, triggers=result.triggers or view.triggers, next_step=next_step)
        RunFiles(view.path.parent).finish_killed(self._request.environment, summary, result)
        message = f"{summary} {next_step}"
        settings, variables = self._environment.settings, self._environment.variables
        said = call_after_a_kill(settings, variables, self._journal, message, result, told_by=told_by)
        self._journal.settled(result, by=by)
        return Resumed(said, _exit_code(result, passed=passed))


def _sentence(result: RollbackResult) -> str:
    reason = result.reason.rstrip(".")
    if result.outcome is RollbackOutcome.DONE:
        proven = " (verified)" if result.verified else ""  # else the reason begins with that
        return f"Rolled back from {result.from_revision} to {result.to_revision}{proven}. {reason}."
    word = "FAILED" if result.outcome is RollbackOutcome.FAILED else "was withheld"
    return f"The rollback to {result.to_revision or 'the revision before'} {word}: {reason}."


def _exit_code(result: RollbackResult, *, passed: bool) -> int:
    if result.outcome is RollbackOutcome.FAILED or result.verified is False:
        return ExitCode.ROLLBACK_FAILED
    if result.outcome in _UNMOVED and not passed:
        return ExitCode.FAIL if result.outcome is RollbackOutcome.WITHHELD else ExitCode.INCONCLUSIVE
    return ExitCode.PASS
