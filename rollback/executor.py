"""Carry a plan out: decide, shift the traffic, and prove that it helped. `execute` raises nothing.

Three outcomes. Withheld: a guard spoke, production was not touched. Failed: it was due and did not get through, a
person is needed now. Done: the target serves; whether it serves *well* is `verified`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from rollback.context import RollbackContext
from rollback.evidence.control import AskedAfter, Control, FailedQuestions
from rollback.evidence.control_tag import other_control_tags, remove_control_tag
from rollback.evidence.verification import verify
from rollback.interrupts import undisturbed
from rollback.locks import sole_rollback
from rollback.policy.decide import decide, foreseeable
from rollback.policy.facts import Action, ControlResult, ControlVerdict, Decision, Facts, TargetState
from rollback.policy.guards import change_under_way, traffic_changed
from rollback.strategies.failover import Failover, longest_shift, strategies_of
from rollback.traffic import TrafficObserver, TrafficSplit, existing_revision, settled_service
from verification.clients.google.cloud_run import CloudRun
from verification.deadline import Deadline, Stopwatch, now
from verification.errors import RollbackFailed, RollbackWithheld
from verification.operator_commands import follow_latest, roll_back, shift_now, status
from verification.records.journal import Journal
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.records.smoke_before import failed_before
from verification.settings.model import Settings

__all__ = [
    "Control",
    "FailedQuestions",
    "clear_up",
    "control_of",
    "execute",
    "facts_of",
    "longest_rollback",
    "longest_step",
    "may_be_due",
    "other_control_tags",
]


def execute(
    plan: RollbackPlan, context: RollbackContext, triggers: tuple[str, ...] = (), control: Control | None = None
) -> RollbackResult:
    """Carry `plan` out because of `triggers`, if every guard lets us. Never raises; twice is the same as once.

    `control` asks the revision from before what has failed; None where nobody can.
    """
    for trigger in triggers:
        context.journal.failed(trigger)
    return _Execution(plan, context, triggers, control).run()


def control_of(plan: RollbackPlan, context: RollbackContext, questions: FailedQuestions) -> Control:
    """What asks the revision that `plan` goes back to."""
    return Control(context.settings, context.cloud_run, context.journal, plan, questions)


def may_be_due(plan: RollbackPlan, context: RollbackContext) -> bool:
    """Whether no guard would withhold it for what is known before anything has failed for certain."""
    return context.allowed and not context.dry_run and not foreseeable(facts_of(plan, context))


def clear_up(cloud_run: CloudRun, journal: Journal) -> str:
    """Take away what a run has left with Cloud Run: its control's tag. What a person must do about one that stays."""
    return remove_control_tag(cloud_run, journal)


def facts_of(plan: RollbackPlan, context: RollbackContext, triggers: tuple[str, ...] = ()) -> Facts:
    """What a decision on `plan` goes by, before a lock is taken and Cloud Run is asked."""
    return Facts(
        plan=plan,
        triggers=triggers,
        environment=context.settings.environment,
        service=context.cloud_run.settings,
        policy=context.settings.rollback.policy,
        allowed=context.allowed,
        dry_run=context.dry_run,
        deployed_within=context.settings.rollback.deployed_within,
        at=now(),
        past=context.history.about(context.cloud_run.settings),
        failed_before=frozenset(
            failed_before(
                context.history.path.parent, context.settings.environment, context.cloud_run.settings.service, now()
            )
        ),
        when_previous_no_better=context.settings.rollback.when_previous_no_better,
    )


def longest_step(settings: Settings) -> float:
    """How many seconds a rollback that is at work may take from one line of its journal to the next."""
    within, monitor = settings.rollback, settings.monitor
    users = within.metrics_within + (monitor.log_delay + 2 * monitor.block if monitor else 0)
    verification = within.verify_within + users
    longest = max(longest_shift(settings), verification, 2 * within.control_within)
    return within.evidence_grace + longest + 3 * settings.smoke.timeout + settings.smoke.confirm_within


def longest_rollback(settings: Settings) -> float:
    """How many seconds a rollback may take from its decision to its proof: the control lies between look and shift."""
    within = settings.rollback
    return 2 * (within.shift_within + within.control_within + within.verify_within)


class _Execution:
    def __init__(
        self, plan: RollbackPlan, context: RollbackContext, triggers: tuple[str, ...], control: Control | None
    ) -> None:
        self._control = control
        self._plan = plan
        self._context = context
        self._triggers = triggers
        self._service = context.cloud_run.settings
        self._stopwatch = Stopwatch.start()
        self._deadline = Deadline.after(context.settings.rollback.shift_within)
        logs = context.journal.path.parent
        self._observer = TrafficObserver(context.settings, context.cloud_run, logs, context.variables)
        self._facts = facts_of(plan, context, triggers)

    def run(self) -> RollbackResult:
        """Do what is decided, and settle the journal."""
        journal = self._context.journal
        with undisturbed(), ExitStack() as held:
            try:
                result = self._carry_out(self._decide(held))
            except RollbackWithheld as withheld:
                result = self._result(RollbackOutcome.WITHHELD, withheld.cause, withheld.remedy, withheld.guard)
            except RollbackFailed as failed:
                result = self._result(RollbackOutcome.FAILED, failed.cause, failed.remedy, failed.guard)
            except Exception as error:
                command = shift_now(self._service, self._plan.target)
                result = self._result(RollbackOutcome.FAILED, f"{type(error).__name__}: {error}", command)
            problems = [journal.problem, *(self._cancel_pending() if not self._context.dry_run else ())]
            problems += [self._control.close() if self._control else clear_up(self._context.cloud_run, journal)]
            result = replace(result, reason=". ".join(filter(None, [result.reason.rstrip("."), *problems])))
            journal.settled(result)
            return result

    def _decide(self, held: ExitStack) -> Decision:
        """The decision, all facts that it needs gathered. Raises RollbackFailed when Cloud Run does not tell them."""
        while True:
            decision = decide(self._facts)
            match decision.action:
                case Action.TAKE_LOCK:
                    self._facts = replace(self._facts, holds_lock=held.enter_context(sole_rollback(self._service)))
                case Action.OBSERVE_TRAFFIC:
                    self._facts = replace(self._facts, traffic=self._observe_traffic())
                case Action.CHECK_TARGET:
                    self._facts = replace(self._facts, target=self._check_target())
                case Action.ASK_CONTROL:
                    self._facts = replace(self._facts, control=self._ask_control())
                case _:
                    return decision

    def _carry_out(self, decision: Decision) -> RollbackResult:
        match decision.action:
            case Action.NOTHING:
                return self._result(RollbackOutcome.NOT_NEEDED, decision.reason, decision.next_step, decision.guard)
            case Action.WITHHOLD:
                raise RollbackWithheld(decision.reason, decision.next_step, decision.guard)
            case Action.FAIL:
                raise RollbackFailed(decision.reason, decision.next_step, decision.guard)
            case Action.VERIFY:
                return replace(self._verified("", [decision.reason]), guard=decision.guard)
        silence = self._facts.traffic.silence if self._facts.traffic else ""
        strategies = strategies_of(self._context, self._observer)
        failover = Failover(self._context, self._observer, self._recheck)
        return self._verified(failover.shift_traffic(strategies, self._plan, self._deadline, silence), [])

    def _observe_traffic(self) -> TrafficSplit:
        plan = self._plan
        if plan.shares and plan.target:
            split = self._observer.observe_settled(self._deadline, plan.target)
        else:  # nothing that others tell could be compared with anything
            split = TrafficSplit.by_cloud_run(settled_service(self._context.cloud_run, self._deadline, plan.target))
        self._context.journal.write("seen", traffic=split.text, source=split.source, reason=split.silence)
        return split

    def _check_target(self) -> TargetState:
        found = existing_revision(self._context.cloud_run, self._plan.target, self._deadline)
        return TargetState(True, found.ready, found.problem) if found else TargetState(exists=False, ready=False)

    def _ask_control(self) -> ControlResult:
        if self._control is None:
            return ControlResult(ControlVerdict.UNKNOWN, "nobody is there to ask the revision from before")
        try:
            return self._control.ask(self._triggers)
        finally:  # what the control took is none of the shift's time, which begins now
            self._deadline = Deadline.after(self._context.settings.rollback.shift_within)

    def _recheck(self, split: TrafficSplit) -> None:
        """Hold the plan against what serves just before a write. Raises RollbackWithheld, RollbackFailed."""
        facts: Facts = replace(self._facts, traffic=split)
        decision = change_under_way(facts) or traffic_changed(facts)
        if decision is not None:
            self._carry_out(decision)

    def _verified(self, strategy: str, words: list[str]) -> RollbackResult:
        """The traffic has moved: from here on nothing makes the rollback undone, only unproven."""
        seconds = self._stopwatch.seconds
        plan, context = self._plan, self._context
        if strategy:
            context.journal.write("shifted", from_revision=plan.source, to_revision=plan.target, strategy=strategy)
        result = self._result(RollbackOutcome.DONE, "", "")
        problem, checks, helped, useless = "", result.checks, True, False
        try:
            words += [self._facts.control.reason] if self._facts.control and strategy else []
            words += self._remember()
            verified = verify(context.settings, context.cloud_run, self._observer, plan.target)
            after = self._control.ask_after(self._triggers) if self._control else AskedAfter()
            helped, useless = not after.failing, len(after.failing) == len(self._triggers)
            problems = [f"{name} still fails" for name in after.failing]
            problems += [f"it is not known whether {name} works again" for name in after.unknown]
            problem, checks = "; ".join(filter(None, (*problems, verified.problem))), verified.checks
        except Exception as error:
            problem = f"the verification itself went wrong: {type(error).__name__}: {error}"
        context.journal.write("verified", verified=not problem, problem=problem)
        words.append("The traffic is pinned now: a new deployment gets none of it until it follows the latest again")
        if problem:
            words.insert(0, f"NOT VERIFIED: {problem}")
        return replace(
            result,
            helped=helped,
            strategy=strategy,
            seconds=seconds,
            verified=not problem,
            reason=". ".join(words),
            next_step=self._next_step(problem, useless=useless),
            checks=checks,
        )

    def _next_step(self, problem: str, *, useless: bool) -> str:
        environment, plan = self._context.settings.environment, self._plan
        if not problem:
            return f"With the mended release: `{follow_latest(self._service)}`"
        forward = f" Going back did not help; to let the release serve again: `{roll_back(environment, plan.revision)}`"
        return (
            f"A person is needed now: look at {self._context.settings.target.url}. "
            f"What serves, and what else there is: `{status(environment)}`.{forward if useless else ''}"
        )

    def _remember(self) -> list[str]:
        """Note it in the serving record; what went wrong with that."""
        history = self._context.history
        problems = [history.mark_bad(self._service, name) for name in self._plan.mark_bad]
        problems.append(history.observe(self._service, self._plan.target, None))
        return list(dict.fromkeys(filter(None, problems)))

    def _cancel_pending(self) -> Iterator[str]:
        for strategy in strategies_of(self._context, self._observer):
            try:
                yield strategy.cancel_pending()
            except Exception as error:  # the rollback is over, and stays what it was
                yield f"what {strategy.name} began could not be cancelled: {type(error).__name__}: {error}"

    def _result(self, outcome: RollbackOutcome, reason: str, next_step: str, guard: str = "") -> RollbackResult:
        return RollbackResult(
            outcome,
            self._triggers,
            from_revision=self._plan.source,
            to_revision=self._plan.target,
            reason=reason,
            next_step=next_step,
            guard=guard,
        )
