"""Bring to its end what a run left undone, without pytest: by the supervisor, or by `python -m rollback resume`.

A rollback that was due or under way is finished, with the engine and the guards of any other. A phase that was cut off
without a failure is followed by one smoke run, which rolls back if it fails; if it passes, people are called, because
nobody watches now. Whatever is unclear is for people too. The journal is read under a lock: two at once do
not act twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from reports.run_files import RunFiles
from rollback.context import World, open_world
from rollback.executor import Order, roll_back, roll_back_by_hand
from rollback.locks import sole_aftermath
from rollback.notify.outbox import call_after_a_kill
from rollback.serving_history import ServingRecord
from rollback.supervisor.pending import Due, Left
from rollback.supervisor.rerun_smoke import looked_at
from verification.errors import RollbackWithheld, VerificationError
from verification.operator_commands import at_once, by_hand, resume
from verification.records.journal import Journal
from verification.records.run_record import Exit, RollbackOutcome, RollbackResult
from verification.settings.loading import load
from verification.settings.model import Settings

_WITHHELD = (RollbackOutcome.WITHHELD, RollbackOutcome.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Place:
    """Which run, and what is needed to act in its stead."""

    deployment: Path
    environment: str
    output: Path
    journal: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of it: `said` for people, and the exit code. `acted` is False when there was nothing to do."""

    said: str
    exit_code: int
    acted: bool = True


def bring_to_an_end(place: Place, by: str) -> Ended:
    """Do what is due, once. Never raises; the run's process must have ended."""
    settings: Settings | None = None
    try:
        settings = load(place.deployment, place.environment).settings
        with sole_aftermath(place.journal, _longest(settings)):
            left = Left.of(place.journal)
            if left.due is Due.NOTHING and left.entries:
                return _nothing(left, settings)
            with open_world(place.deployment, place.environment, after_a_run=True) as world:
                return _Aftermath(place, world, left, by).made()
    except Exception as error:
        problem = error if isinstance(error, VerificationError) else None
        cause = problem.cause if problem else f"{type(error).__name__}: {error}"
        remedy = problem.remedy if problem else f"Look at what serves, then: `{resume(place.environment)}`"
        return _given_up(place, settings, f"{by} could not act: {cause}. {remedy}")


def _nothing(left: Left, settings: Settings) -> Ended:
    settled = left.settled
    if settled is None:
        return Ended("it ended before it did anything: nothing is due", Exit.PASS, acted=False)
    outcome, reason, next_step = (settled.text(name) for name in ("outcome", "reason", "next_step"))
    said = f"the run is settled (rollback: {outcome}{f', {reason}' if reason else ''}): nothing is due"
    files = RunFiles(left.folder)
    if not files.is_unfinished:
        return Ended(said, Exit.PASS, acted=False)
    # It was killed after its last step, before its report: what is written there is all that there will be.
    if next_step and not left.told:
        message = f"The run {left.folder.name} was killed before its report. Rollback: {outcome}, {reason}. {next_step}"
        done = RollbackResult(RollbackOutcome(outcome), left.triggers, next_step=next_step)
        call_after_a_kill(settings, os.environ, Journal(left.path), message, done)
    files.finish_killed(settings.environment, said, _settled_result(left))
    return Ended(said, Exit.PASS, acted=False)


def _settled_result(left: Left) -> RollbackResult:
    """What the journal says that the rollback came to."""
    settled, known = left.settled, left.known
    assert settled is not None
    verified = settled.fields.get("verified")
    return RollbackResult(
        RollbackOutcome(settled.text("outcome")),
        left.triggers,
        from_revision=known.revision,
        to_revision=known.previous,
        verified=verified if isinstance(verified, bool) else None,
        reason=settled.text("reason"),
        next_step=settled.text("next_step"),
    )


def _given_up(place: Place, settings: Settings | None, message: str) -> Ended:
    """Even then somebody is called, and the run's folder says so."""
    left = Left.of(place.journal)
    command = f"To roll back: `{by_hand(place.environment, left.known.previous)}`"
    message = f"{_what_happened(left)} {message} {command}"
    failed = RollbackResult(RollbackOutcome.FAILED, left.triggers, next_step=command)
    RunFiles(place.journal.parent).finish_killed(place.environment, message, failed)
    if settings is not None:
        call_after_a_kill(settings, os.environ, Journal(place.journal), message, failed)
    return Ended(message, Exit.ROLLBACK_FAILED)


def _what_happened(left: Left) -> str:
    name = left.folder.name
    if left.triggers:
        return f"The run {name} ended before its rollback was finished (triggered by {', '.join(left.triggers)})."
    return f"The run {name} was cut off."


def _longest(settings: Settings) -> float:
    """How long another one may be at it, in seconds."""
    return settings.smoke.within + 2 * (settings.rollback.shift_within + settings.rollback.verify_within)


class _Aftermath:
    def __init__(self, place: Place, world: World, left: Left, by: str) -> None:
        self._place = place
        self._world = world
        self._left = left
        self._journal = Journal(left.path)
        self._by = by

    def made(self) -> Ended:
        self._journal.write("resumed", by=self._by, due=self._left.due.value)
        with self._told_if_it_breaks():
            if self._left.due is Due.ROLLBACK:
                return self._told(self._rolled_back(self._left), "")
            return self._after_a_look()

    @contextmanager
    def _told_if_it_breaks(self) -> Iterator[None]:
        try:
            yield
        except VerificationError:
            raise
        except Exception as error:
            raise RollbackWithheld(
                f"it went wrong: {type(error).__name__}: {error}",
                at_once(self._world.cloud_run.settings, self._left.known.previous),
            ) from error

    def _rolled_back(self, left: Left) -> RollbackResult:
        """Finish the rollback of `left`, whose journal goes on. Never raises but for a service that is another one."""
        self._must_be_the_same_service(left)
        known = left.known
        journal = self._journal if left.path == self._left.path else Journal(left.path)
        world, history = self._world, ServingRecord(self._place.output / "serving.jsonl")
        if left.triggers:
            return roll_back(
                known,
                left.triggers,
                settings=world.settings,
                cloud_run=world.cloud_run,
                journal=journal,
                history=history,
                dry_run=left.dry_run,
                allowed=left.allowed,
                variables=world.variables,
            )
        # A person had decided so.
        return roll_back_by_hand(
            Order({known.revision: 100}, known.previous, known.evidence, (known.revision,)),
            settings=world.settings,
            cloud_run=world.cloud_run,
            journal=journal,
            history=history,
            dry_run=left.dry_run,
            variables=world.variables,
        )

    def _must_be_the_same_service(self, left: Left) -> None:
        armed, table = left.armed, self._world.cloud_run.settings
        assert armed is not None
        was = tuple(armed.text(name) for name in ("project", "region", "service"))
        if was != (table.project, table.region, table.service):
            raise RollbackWithheld(
                f"the journal is about {'/'.join(was)}, and the deployment file now names "
                f"{table.project}/{table.region}/{table.service}",
                "Look at what serves.",
            )

    def _after_a_look(self) -> Ended:
        """One smoke run in the place of the phase that was cut off; what it left undone in its turn is finished."""
        look = looked_at(
            self._left,
            self._place.environment,
            self._place.deployment,
            self._place.output,
            _longest(self._world.settings),
        )
        if look.left is not None and look.left.due is Due.ROLLBACK:
            return self._told(self._rolled_back(look.left), "the smoke run failed, and was cut off itself")
        if look.left is not None and look.blind and self._left.known.previous and self._left.allowed:
            told = f"{look.said}; it could not see what serves, which the run before it had seen"
            return self._told(self._rolled_back(self._left.followed_by(look.left)), told)
        result, said = look.result, look.said
        if look.passed:
            again = f"pytest -m monitor --env {self._place.environment}"
            said = f"The watch was cut off; smoke passes; nobody watches now: run `{again}`"
        return self._told(result, said, passed=look.passed, told_by=look.told_by)

    def _told(self, result: RollbackResult, said: str, *, passed: bool = False, told_by: str = "") -> Ended:
        """Call people, write down what was done, and settle the journal: in this order, so that none is left out."""
        parts = [_what_happened(self._left), f"{self._by[:1].upper()}{self._by[1:]} took over."]
        parts += [f"{said.rstrip('.')}."] if said else []
        if result.outcome is not RollbackOutcome.NOT_NEEDED:
            parts.append(_sentence(result))
        todo = result.next_step or f"To roll back: `{by_hand(self._place.environment, self._left.known.previous)}`"
        message = " ".join([*parts, todo])
        result = replace(result, triggers=result.triggers or self._left.triggers, next_step=todo)
        RunFiles(self._left.folder).finish_killed(self._place.environment, " ".join(parts), result)
        call_after_a_kill(self._world.settings, self._world.variables, self._journal, message, result, told_by=told_by)
        self._journal.write("settled", outcome=result.outcome.value, verified=result.verified, by=self._by)
        return Ended(message, _exit_code(result, passed=passed))


def _sentence(result: RollbackResult) -> str:
    if result.outcome is RollbackOutcome.DONE:
        proven = " (verified)" if result.verified else ""  # else the reason begins with that
        way = f"from {result.from_revision} to {result.to_revision}"
        return f"Rolled back {way}{proven}. {result.reason.rstrip('.')}."
    return (
        f"The rollback to {result.to_revision or 'the revision before'} {_word(result)}: {result.reason.rstrip('.')}."
    )


def _word(result: RollbackResult) -> str:
    return "FAILED" if result.outcome is RollbackOutcome.FAILED else "was withheld"


def _exit_code(result: RollbackResult, *, passed: bool) -> int:
    if result.outcome is RollbackOutcome.FAILED or result.verified is False:
        return Exit.ROLLBACK_FAILED
    if result.outcome in _WITHHELD and not passed:
        return Exit.FAIL if result.outcome is RollbackOutcome.WITHHELD else Exit.INCONCLUSIVE
    return Exit.PASS
