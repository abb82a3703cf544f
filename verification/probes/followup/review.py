"""Probes of what a person reviews in the days after a deployment: resources, changelog, the metrics of deployments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from verification.clients.google.cloud_run_state import Allotment, quantity
from verification.criteria.sign_off import SignOffLine
from verification.errors import ObserverError
from verification.probe import probe
from verification.probes.release import ReleaseContents, release_contents
from verification.records.deployments import FollowedDeployment
from verification.records.metrics import DeploymentMetric, Period, over_all
from verification.settings.checkout import Release
from verification.settings.followup import ApprovedResources, IdlePrices
from verification.settings.model import Settings
from verification.source_tree.changelog import new_entries
from verification.source_tree.checkout import Checkout
from verification.verdict import Measurement, Value, record

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import CloudRun
    from verification.records.deployment_log import DeploymentLog

_MONTH = 30 * 86_400
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What each instance gets and how many there may be: now, and in the revision before."""

    revision: str
    previous: str
    now: Allotment
    before: Allotment
    prices: IdlePrices
    approved: ApprovedResources

    @property
    def changes(self) -> tuple[str, ...]:
        """What changed and is not approved in deployment.toml."""
        shown = zip(_resources(self.now).items(), _resources(self.before).values(), strict=True)
        return tuple(
            f"{name} {_words(before)} -> {_words(value)}"
            for (name, value), before in shown
            if value != before and not self._is_approved(name, value)
        )

    def must_be_none_or_approved(self, sign_off: SignOffLine) -> None:
        """Hold that nothing changed, or that the file or a person approves of it; every figure is recorded."""
        __tracebackhide__ = True
        for figure in self._figures():
            record(figure)
        unknown = [name for name, value in _resources(self.now).items() if value is None and name in {"cpu", "memory"}]
        if unknown:
            raise ObserverError(f"{self.revision} does not say how much {' and '.join(unknown)} it gets")
        if not self.changes:
            unchanged = "unchanged" if self.now == self.before else "approved in deployment.toml"
            Measurement("resources", unchanged, source="Cloud Run").must_be(unchanged)
            return
        cost = f"{_dollars(self.before, self.prices)} -> {_dollars(self.now, self.prices)} USD a month idle"
        sign_off.must_be_signed(
            f"{self.revision} has other resources than {self.previous}: {', '.join(self.changes)}; {cost}"
        )

    def _figures(self) -> list[Measurement]:
        before = _resources(self.before)
        found = [
            Measurement(
                name, _words(value), source=f"Cloud Run {self.revision}", note=f"before: {_words(before[name])}"
            )
            for name, value in _resources(self.now).items()
        ]
        cost = Measurement(
            "idle cost a month",
            _dollars(self.now, self.prices),
            "USD",
            source="[followup.idle_prices]",
            note=f"of the instances that always run; before: {_dollars(self.before, self.prices)} USD",
        )
        return [*found, cost]

    def _is_approved(self, name: str, value: Value | None) -> bool:
        wanted: str | int | None = getattr(self.approved, name.replace(" ", "_"), None)
        try:
            return wanted is not None and (quantity(wanted) if isinstance(wanted, str) else wanted) == value
        except ValueError:
            return False


@probe
def resource_change(settings: Settings, cloud_run: CloudRun, followed_deployment: FollowedDeployment) -> ResourceChange:
    """Compare what serves since the deployment with the revision before. Raises ObserverError."""
    serves, previous, table = followed_deployment.serves, followed_deployment.previous, settings.followup
    after, before = (cloud_run.revision(name).allotment for name in (serves, previous))
    return ResourceChange(serves, previous, after, before, table.idle_prices, table.approved_resources)


def idle_cost(allotment: Allotment, prices: IdlePrices) -> float | None:
    """USD for thirty days of the instances that always run, without a request; None where resources are unknown."""
    if not allotment.min_instances:
        return 0.0
    if allotment.cpu is None or allotment.memory is None:
        return None
    cpu, memory = (prices.always_cpu, prices.always_memory) if allotment.cpu_always else (prices.cpu, prices.memory)
    each = allotment.cpu * cpu + allotment.memory / _GIB * memory
    return round(_MONTH * allotment.min_instances * each, 2)


@probe
def deployed_changes(
    cloud_run: CloudRun, checkout: Checkout, release: Release, followed_deployment: FollowedDeployment
) -> ReleaseContents:
    """What the deployment changed, held against the changelog as it is in the checkout now. Raises ObserverError."""
    before = cloud_run.revision(followed_deployment.previous).commit
    changes = release_contents(checkout, release, followed_deployment.deployment.commit, before)
    return with_latest_changelog(changes, checkout)


def with_latest_changelog(found: ReleaseContents, checkout: Checkout) -> ReleaseContents:
    """`found`, with the entries that the changelog has by now: what was forgotten may be written later."""
    path = found.settings.changelog
    latest = checkout.text("HEAD", path)
    if latest is None:
        return found
    entries = new_entries(checkout.text(found.deployed, path) or "", latest)
    return replace(found, entries=entries)


@dataclass(frozen=True, slots=True)
class MetricsReview:
    """The five figures over all deployments of the environment."""

    period: Period
    source: str

    def must_be_reviewed(self, sign_off: SignOffLine) -> None:
        """Hold every figure to meet its target; where one does not, or too few tell, a person has looked at it."""
        __tracebackhide__ = True
        for figure in self.period.figures:
            record(self._measurement(figure))
        missed = [figure for figure in self.period.figures if figure.good is False]
        if self.period.too_few or missed:
            words = ", ".join(
                f"{figure.name} is {figure.value:g} {figure.unit}, target {figure.target}" for figure in missed
            )
            sign_off.must_be_signed("; ".join(filter(None, (self.period.too_few, words))))

    def _measurement(self, figure: DeploymentMetric) -> Measurement:
        note = f"target {figure.target} {figure.unit}" + (f"; {figure.note}" if figure.note else "")
        return Measurement(
            figure.name, figure.value, figure.unit, source=self.source, samples=figure.samples, note=note
        )


@probe
def metrics_review(
    settings: Settings,
    deployment_log: DeploymentLog,
    followed_deployment: FollowedDeployment,
    clock: Callable[[], datetime],
) -> MetricsReview:
    """The checklist's table. Raises ObserverError."""
    deployment = followed_deployment.deployment
    found = [
        logged
        for logged in deployment_log.deployments()
        if (logged.environment, logged.service) == (deployment.environment, deployment.service)
    ]
    return MetricsReview(over_all(found, settings.deployment_log, clock()), deployment_log.place)


def _resources(allotment: Allotment) -> dict[str, Value | None]:
    return {
        "cpu": allotment.cpu,
        "memory": allotment.memory,
        "min instances": allotment.min_instances,
        "max instances": allotment.max_instances,
        "cpu always": allotment.cpu_always,
    }


def _words(value: Value | None) -> str:
    if value is None:
        return "not said"
    if isinstance(value, int) and value >= 1024**2:
        return f"{value / 1024**2:g} MiB"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _dollars(allotment: Allotment, prices: IdlePrices) -> str:
    cost = idle_cost(allotment, prices)
    return "not known" if cost is None else f"{cost:.2f}"
