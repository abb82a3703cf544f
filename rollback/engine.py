"""Carry a rollback out: guards first, then the shift, then the proof that it helped. Nothing here raises.

Three outcomes. Withheld: a guard spoke, production was not touched. Failed: it was due and did not get through, a
person is needed now. Done: the previous revision serves; whether it serves *well* is `verified`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rollback.commands import at_once, by_hand, status, to_latest
from rollback.journal import Journal
from rollback.lock import sole_rollback
from rollback.policy import Known, already_undone, too_old
from rollback.reading import existing_revision, settled_service
from rollback.serving_record import ServingRecord
from rollback.strategies import CloudRunApi, Shift, Strategy
from rollback.verification import verify
from verification.clients.cloud_run import CloudRun, ServiceState
from verification.errors import RollbackFailed, RollbackWithheld
from verification.record import RollbackOutcome, RollbackResult
from verification.settings import Settings

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be undone, as it was when somebody decided so.

    `shares` is how the traffic was split then (revision -> percent), `target` where it shall go, `taken_out` the
    revisions to be remembered as bad.
    """

    shares: dict[str, int]
    target: str
    evidence: str
    taken_out: tuple[str, ...]
    triggers: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What is rolled back, in words."""
        return " and ".join(self.shares)


def roll_back(
    known: Known,
    triggers: tuple[str, ...],
    *,
    settings: Settings,
    cloud_run: CloudRun,
    journal: Journal,
    history: ServingRecord,
    dry_run: bool,
    allowed: bool,
) -> RollbackResult:
    """Roll back because of `triggers`, if every guard lets us. Never raises; twice is the same as once.

    `allowed` is False under `--no-rollback`; `dry_run` does everything but the write.
    """
    for trigger in triggers:
        journal.failed(trigger)
    command = f"`{by_hand(settings.environment, known.previous)}`"

    def permit() -> None:
        if not allowed:
            raise RollbackWithheld("--no-rollback was given", f"To roll back: {command}")
        if settings.rollback.policy != "automatic":
            raise RollbackWithheld(
                f'rollback.policy is "{settings.rollback.policy}": a person decides', f"To roll back: {command}"
            )

    def judge() -> None:
        if not (known.revision and known.previous):
            raise RollbackWithheld(
                "; ".join(known.obstacles) or "what served before is not known", f"To roll back: {command}"
            )
        past = history.of(cloud_run.settings)
        held = too_old(known.created, settings) or already_undone(past, known.revision)
        if held:
            raise RollbackWithheld(held, f"To roll back all the same: {command}")

    shares = {known.revision: 100} if known.revision else {}
    order = Order(shares, known.previous, known.evidence, (known.revision,) if known.revision else (), triggers)
    return _Rollback(order, settings, cloud_run, journal, history, dry_run=dry_run).made(permit, judge)


def roll_back_by_hand(
    order: Order, *, settings: Settings, cloud_run: CloudRun, journal: Journal, history: ServingRecord, dry_run: bool
) -> RollbackResult:
    """Roll back because a person says so: no policy and no age is asked for, every other guard holds. Never raises."""
    return _Rollback(order, settings, cloud_run, journal, history, dry_run=dry_run).made(_fine, _fine)


def _fine() -> None:
    pass


class _Rollback:
    def __init__(
        self,
        order: Order,
        settings: Settings,
        cloud_run: CloudRun,
        journal: Journal,
        history: ServingRecord,
        *,
        dry_run: bool,
    ) -> None:
        self._order = order
        self._settings = settings
        self._cloud_run = cloud_run
        self._journal = journal
        self._history = history
        self._dry_run = dry_run
        self._began = time.monotonic()
        self._until = self._began + settings.rollback.shift_within
        self._strategies: list[Strategy] = [CloudRunApi(cloud_run)]

    def made(self, permit: Callable[[], None], judge: Callable[[], None]) -> RollbackResult:
        """`permit` is asked before Cloud Run is, `judge` once it is known what serves; both raise RollbackWithheld."""
        with undisturbed():
            try:
                permit()
                with sole_rollback(self._cloud_run.settings):
                    result = self._finished(self._shifted(judge))
            except RollbackWithheld as held:
                result = self._result(RollbackOutcome.WITHHELD, held.cause, held.remedy)
            except RollbackFailed as failed:
                result = self._result(RollbackOutcome.FAILED, failed.cause, failed.remedy)
            except Exception as error:
                result = self._result(
                    RollbackOutcome.FAILED,
                    f"{type(error).__name__}: {error}",
                    at_once(self._cloud_run.settings, self._order.target),
                )
            if self._journal.problem:
                result = replace(result, reason=f"{result.reason} ({self._journal.problem})")
            self._journal.write(
                "settled",
                outcome=result.outcome.value,
                verified=result.verified,
                reason=result.reason,
                next_step=result.next_step,
            )
            return result

    def _shifted(self, judge: Callable[[], None]) -> str:
        """The strategy that moved the traffic; empty when it had moved already."""
        order = self._order
        state = settled_service(self._cloud_run, self._until, order.target)
        if order.target and state.sole_revision == order.target:
            return ""
        judge()
        self._check(state)
        self._check_target()
        if self._dry_run:
            raise RollbackWithheld(
                f"dry run: would send all traffic from {order.source} to {order.target} ({order.evidence})",
                f"To do it: `{by_hand(self._settings.environment, order.target)}`",
            )
        return self._by_strategies()

    def _by_strategies(self) -> str:
        order = self._order
        problems: list[RollbackFailed] = []
        for strategy in self._strategies:
            self._journal.write(
                "rolling-back", from_revision=order.source, to_revision=order.target, strategy=strategy.name
            )
            try:
                strategy.shift(Shift(order.target, self._check), self._until)
            except RollbackFailed as problem:
                problems.append(problem)
            else:
                return strategy.name
        raise RollbackFailed("; ".join(one.cause for one in problems), problems[-1].remedy)

    def _check(self, state: ServiceState) -> None:
        """What serves must be what was judged: whoever changed it meanwhile knows something that we do not."""
        if state.shares != self._order.shares:
            raise RollbackWithheld(
                f"the traffic has changed since it was judged: {self._order.source} served then, "
                f"now it is {state.traffic_text}",
                f"Look at `python -m rollback status -e {self._settings.environment}`; "
                f"to roll back all the same: `{by_hand(self._settings.environment, self._order.target)}`",
            )

    def _check_target(self) -> None:
        name = self._order.target
        target = existing_revision(self._cloud_run, name, self._until)
        if target is None or not target.ready:
            gone = (
                f"is not Ready any more: {target.problem or 'no reason given'}" if target else "does not exist any more"
            )
            raise RollbackWithheld(
                f"{name}, which served before, {gone}", f"Choose another one: `{by_hand(self._settings.environment)}`"
            )

    def _finished(self, strategy: str) -> RollbackResult:
        """The traffic has moved: from here on nothing makes the rollback undone, only unproven."""
        seconds = time.monotonic() - self._began
        order = self._order
        if strategy:
            self._journal.write("shifted", from_revision=order.source, to_revision=order.target, strategy=strategy)
        words = [] if strategy else [f"{order.target} served all traffic already: nothing was written"]
        result = self._result(RollbackOutcome.DONE, "", "")
        problem, checks = "", result.checks
        try:
            words += self._remembered()
            verified = verify(self._settings, self._cloud_run, order.target)
            problem, checks = verified.problem, verified.checks
        except Exception as error:
            problem = f"the verification itself went wrong: {type(error).__name__}: {error}"
        self._journal.write("verified", verified=not problem, problem=problem)
        pinned = f"`{to_latest(self._cloud_run.settings)}`"
        words.append("The traffic is pinned now: a new deployment gets none of it until it follows the latest again")
        if problem:
            words.insert(0, f"NOT VERIFIED: {problem}")
        next_step = (
            f"A person is needed now: look at {self._settings.target.url}. "
            f"What serves, and what else there is: `{status(self._settings.environment)}`"
            if problem
            else f"With the mended release: {pinned}"
        )
        return replace(
            result,
            strategy=strategy,
            seconds=seconds,
            verified=not problem,
            reason=". ".join(words),
            next_step=next_step,
            checks=checks,
        )

    def _remembered(self) -> list[str]:
        """Note it in the serving record; what went wrong with that."""
        service = self._cloud_run.settings
        past = self._history.of(service)
        problems = [
            self._history.rolled_back(service, name, None) for name in self._order.taken_out if not past.taken_out(name)
        ]
        problems.append(self._history.observe(service, self._order.target, None))
        return list(dict.fromkeys(filter(None, problems)))

    def _result(self, outcome: RollbackOutcome, reason: str, next_step: str) -> RollbackResult:
        order = self._order
        return RollbackResult(
            outcome,
            order.triggers,
            from_revision=order.source,
            to_revision=order.target,
            reason=reason,
            next_step=next_step,
        )


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C, a cancelled job or a closed terminal must not end a rollback half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _IGNORED}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
