"""Carry a rollback out: guards first, then the shift, then the proof that it helped. Nothing here raises.

Three outcomes. Withheld: a guard spoke, production was not touched. Failed: it was due and did not get through, a
person is needed now. Done: the previous revision serves; whether it serves *well* is `verified`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rollback.locks import sole_rollback
from rollback.preflight import Known, already_undone, too_old
from rollback.reading import existing_revision, settled_service
from rollback.serving_history import ServingRecord
from rollback.strategies.failover import Shifting, strategies_of
from rollback.traffic import Blind, Seen, Sight, seen_by_cloud_run
from rollback.verification import verify
from verification.clients.google.cloud_run import CloudRun
from verification.clients.google.gcloud import Gcloud
from verification.errors import RollbackFailed, RollbackWithheld
from verification.operator_commands import at_once, by_hand, status, to_latest
from verification.records.journal import Journal
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.settings.model import Settings

_LOOKING = 30.0
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
    variables: Mapping[str, str] = os.environ,
) -> RollbackResult:
    """Roll back because of `triggers`, if every guard lets us. Never raises; twice is the same as once.

    `allowed` is False under `--no-rollback`; `dry_run` does everything but the write. `variables` are the environment
    variables of the strategies: tokens, and what gcloud needs.
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
    return _Rollback(order, settings, cloud_run, journal, history, variables, dry_run=dry_run).made(permit, judge)


def roll_back_by_hand(
    order: Order,
    *,
    settings: Settings,
    cloud_run: CloudRun,
    journal: Journal,
    history: ServingRecord,
    dry_run: bool,
    variables: Mapping[str, str] = os.environ,
) -> RollbackResult:
    """Roll back because a person says so: no policy and no age is asked for, every other guard holds. Never raises."""
    return _Rollback(order, settings, cloud_run, journal, history, variables, dry_run=dry_run).made(_fine, _fine)


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
        variables: Mapping[str, str],
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
        gcloud = Gcloud(cloud_run.settings, journal.path.parent, variables)
        self._sight = Sight(settings, cloud_run, gcloud)
        self._strategies = strategies_of(settings, cloud_run, variables, self._sight, gcloud, journal)

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
            problems = [self._journal.problem, *(self._withdrawn() if not self._dry_run else ())]
            result = replace(result, reason=". ".join(filter(None, [result.reason.rstrip("."), *problems])))
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
        problems: list[str] = []
        seen = self._seen(problems)
        if order.target and seen.sole_revision == order.target:
            return ""
        judge()
        self._check(seen)
        if not problems:  # else it was Ready when the run began, and no strategy moves traffic to one that is not
            self._check_target()
        if self._dry_run:
            raise RollbackWithheld(
                f"dry run: would send all traffic from {order.source} to {order.target} ({order.evidence})",
                f"To do it: `{by_hand(self._settings.environment, order.target)}`",
            )
        shifting = Shifting(self._cloud_run.settings, self._journal, self._sight, self._check)
        return shifting.made(self._strategies, order.source, order.target, self._until, problems)

    def _seen(self, problems: list[str]) -> Seen:
        """What serves, by Cloud Run's API; if that is silent, and noted as a problem, by whoever else can tell."""
        order = self._order
        try:
            return seen_by_cloud_run(settled_service(self._cloud_run, self._until, order.target))
        except RollbackFailed as silent:
            if not (order.shares and order.target):
                raise
            self._sight.silent = True
            problems.append(silent.cause)
            try:
                seen = self._sight.look(time.monotonic() + _LOOKING)
            except Blind as blind:
                raise RollbackFailed(f"{silent.cause}; {blind.cause}", silent.remedy) from blind
        self._journal.write("seen", traffic=seen.text, source=seen.source, reason=problems[0])
        return seen

    def _check(self, seen: Seen) -> None:
        """What serves must be what was judged: whoever changed it meanwhile knows something that we do not."""
        target = self._order.target
        look = f"Look at `{status(self._settings.environment)}`; to roll back all the same: "
        look += f"`{by_hand(self._settings.environment, target)}`"
        if seen.moving and seen.asked != target:
            raise RollbackFailed(f"a change that is not ours is under way, and does not end ({seen.source})", look)
        if seen.shares != self._order.shares:
            raise RollbackWithheld(
                f"the traffic has changed since it was judged: {self._order.source} served then, "
                f"now it is {seen.text} ({seen.source})",
                look,
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
            verified = verify(self._settings, self._cloud_run, self._sight, order.target)
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

    def _withdrawn(self) -> Iterator[str]:
        for strategy in self._strategies:
            try:
                yield strategy.withdraw()
            except Exception as error:  # the rollback is over, and stays what it was
                yield f"what {strategy.name} began could not be called back: {type(error).__name__}: {error}"

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
