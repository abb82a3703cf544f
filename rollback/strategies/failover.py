"""One strategy after another, until the traffic has moved. What one has begun is looked at before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from rollback.context import RollbackContext
from rollback.strategies.base import Shift, Strategy
from rollback.strategies.cloud_run import CloudRunStrategy
from rollback.strategies.gcloud import GcloudStrategy
from rollback.strategies.github_workflow import GitHubWorkflowStrategy
from rollback.strategies.workflow_requests import WorkflowRequests
from rollback.traffic import TrafficObserver, TrafficSplit, TrafficUnknown
from verification.deadline import Deadline
from verification.errors import RollbackFailed, RollbackWithheld
from verification.operator_commands import shift_now
from verification.records.journal import JournalView
from verification.records.rollback_plan import RollbackPlan
from verification.settings.model import Settings

_OBSERVING = 25.0
_SETTLING = 3.0
_PAUSE = 0.5


def strategies_of(context: RollbackContext, observer: TrafficObserver) -> Iterator[Strategy]:
    """The strategies of `[rollback]`, in its order; each is built when it is wanted."""
    within, service = context.settings.rollback, context.cloud_run.settings
    for name in dict.fromkeys(within.strategies):
        match name:
            case "cloud_run":
                own = JournalView.read(context.journal.path).control_tags
                yield CloudRunStrategy(context.cloud_run, within.shift_within, own)
            case "gcloud":
                yield GcloudStrategy(service, observer.gcloud, observer, within.gcloud_within)
            case "github_workflow":
                github, requests = context.settings.github, WorkflowRequests(context.journal)
                limit = within.workflow_within
                yield GitHubWorkflowStrategy(service, github, context.variables, observer, requests, limit)
            case _:
                assert_never(name)


def longest_shift(settings: Settings) -> float:
    """How many seconds one strategy may take, with the look at what serves that follows."""
    within = settings.rollback
    return max(within.shift_within, within.workflow_within, within.gcloud_within) + _OBSERVING + _SETTLING


class Failover:
    """Moves the traffic of one service. `recheck` raises RollbackError for a split that is not the one of the plan."""

    def __init__(
        self, context: RollbackContext, observer: TrafficObserver, recheck: Callable[[TrafficSplit], None]
    ) -> None:
        self._service = context.cloud_run.settings
        self._journal = context.journal
        self._observer = observer
        self._recheck = recheck

    def shift_traffic(
        self, strategies: Iterable[Strategy], plan: RollbackPlan, deadline: Deadline, silence: str
    ) -> str:
        """The name of the strategy that moved everything to the plan's target.

        `deadline` is the end of Cloud Run's own; `silence`: why its API is known not to answer. Raises
        RollbackWithheld (somebody else has changed the traffic), RollbackFailed (no strategy got through).
        """
        target, tried, remedy, known = plan.target, "", "", 0
        problems = [silence] if silence else []
        for strategy in strategies:
            known += 1
            if strategy.name == "cloud_run" and silence:
                continue
            obstacle = strategy.obstacle()
            if obstacle:
                problems.append(f"{strategy.name} could not be tried: {obstacle}")
                continue
            if tried and self._serves_already(target, problems):
                return tried
            tried = strategy.name
            self._journal.write("rolling-back", from_revision=plan.source, to_revision=target, strategy=tried)
            try:
                end = deadline if tried == "cloud_run" else Deadline.after(strategy.within)
                strategy.shift_traffic(Shift(target, self._recheck), end)
            except RollbackWithheld:
                raise
            except RollbackFailed as failed:
                problems.append(f"{tried}: {failed.cause}")
                remedy = remedy or failed.remedy
            except Exception as error:  # one way that is broken must not close the others
                problems.append(f"{tried}: {type(error).__name__}: {error}")
            else:
                return tried
            self._journal.write("strategy-failed", strategy=tried, reason=problems[-1])
        if tried and known > 1 and self._serves_late(target):
            return tried
        raise RollbackFailed("; ".join(problems), remedy or shift_now(self._service, target))

    def _serves_already(self, target: str, problems: list[str]) -> bool:
        """Whether the strategy before got through after all. Raises where the next one must not begin."""
        deadline = Deadline.after(_SETTLING)
        while True:
            try:
                split = self._observer.observe(Deadline.after(_OBSERVING))
            except TrafficUnknown as unknown:
                why = f"{'; '.join(problems)}; nothing more was tried, for nobody tells what serves: {unknown.cause}"
                raise RollbackFailed(why, shift_now(self._service, target)) from unknown
            if split.sole_revision == target:
                return True
            if not split.moving or deadline.is_over:
                self._recheck(split)
                return False
            time.sleep(_PAUSE)

    def _serves_late(self, target: str) -> bool:
        try:
            return self._observer.observe(Deadline.after(_OBSERVING)).sole_revision == target
        except TrafficUnknown:
            return False
