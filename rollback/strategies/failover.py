"""One strategy after another, until the traffic has moved. What one left half done is looked at before the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rollback.strategies.base import Shift, Strategy
from rollback.strategies.cloud_run import ByCloudRun
from rollback.strategies.gcloud import ByGcloud
from rollback.strategies.github_workflow import ByWorkflow
from rollback.strategies.workflow_requests import Dispatches
from rollback.traffic import Blind, Seen, Sight
from verification.clients.google.cloud_run import CloudRun
from verification.clients.google.gcloud import Gcloud
from verification.errors import RollbackFailed, RollbackWithheld
from verification.operator_commands import at_once
from verification.records.journal import Journal
from verification.settings.model import CloudRun as Service
from verification.settings.model import Settings

_LOOKING = 25.0
_SETTLING = 3.0
_PAUSE = 0.5


def strategies_of(
    settings: Settings,
    cloud_run: CloudRun,
    variables: Mapping[str, str],
    sight: Sight,
    gcloud: Gcloud,
    journal: Journal,
) -> list[Strategy]:
    """The strategies of `[rollback]`, in its order."""
    within = settings.rollback
    service = cloud_run.settings
    known: dict[str, Strategy] = {
        "cloud_run": ByCloudRun(cloud_run, within.shift_within),
        "github_workflow": ByWorkflow(
            service, settings.github, variables, sight, Dispatches(journal), within.workflow_within
        ),
        "gcloud": ByGcloud(service, gcloud, sight, within.gcloud_within),
    }
    return [known[name] for name in dict.fromkeys(within.strategies)]


def longest_step(settings: Settings) -> float:
    """How many seconds a rollback that is at work may take from one line of its journal to the next."""
    within, monitor = settings.rollback, settings.monitor
    users = within.metrics_within + (monitor.log_delay + 2 * monitor.block if monitor else 0)
    ways = max(within.shift_within, within.workflow_within, within.gcloud_within) + _LOOKING + _SETTLING
    return within.evidence_grace + max(ways, within.verify_within + users) + 3 * settings.smoke.timeout


class Shifting:
    """Moves the traffic of one service. `check` raises for a split that is not the one that was judged."""

    def __init__(self, service: Service, journal: Journal, sight: Sight, check: Callable[[Seen], None]) -> None:
        self._service = service
        self._journal = journal
        self._sight = sight
        self._check = check

    def made(self, strategies: Sequence[Strategy], source: str, target: str, until: float, problems: list[str]) -> str:
        """The name of the strategy that moved everything to `target`.

        `until` (monotonic clock) is the end of Cloud Run's own; with `problems` its API is known to be silent. Raises
        RollbackWithheld (somebody else has changed the traffic), RollbackFailed (no strategy got through).
        """
        silent, tried, remedy = bool(problems), "", ""
        for strategy in strategies:
            if strategy.name == "cloud_run" and silent:
                continue
            obstacle = strategy.obstacle()
            if obstacle:
                problems.append(f"{strategy.name} could not be tried: {obstacle}")
                continue
            if tried and self._there_already(target, problems):
                return tried
            tried = strategy.name
            self._journal.write("rolling-back", from_revision=source, to_revision=target, strategy=tried)
            try:
                end = until if tried == "cloud_run" else time.monotonic() + strategy.within
                strategy.shift(Shift(target, self._check), end)
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
        if tried and len(strategies) > 1 and self._came_late(target):
            return tried
        raise RollbackFailed("; ".join(problems), remedy or at_once(self._service, target))

    def _there_already(self, target: str, problems: list[str]) -> bool:
        """Whether the strategy before got through after all. Raises where the next one must not begin."""
        until = time.monotonic() + _SETTLING
        while True:
            try:
                seen = self._sight.look(time.monotonic() + _LOOKING)
            except Blind as blind:
                why = f"{'; '.join(problems)}; nothing more was tried, for nobody tells what serves: {blind.cause}"
                raise RollbackFailed(why, at_once(self._service, target)) from blind
            if seen.sole_revision == target:
                return True
            if not seen.moving or time.monotonic() > until:
                self._check(seen)
                return False
            time.sleep(_PAUSE)

    def _came_late(self, target: str) -> bool:
        try:
            return self._sight.look(time.monotonic() + _LOOKING).sole_revision == target
        except Blind:
            return False
