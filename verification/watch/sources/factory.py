"""Which sources a watch asks, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.clients.google.cloud_run import CloudRun
from verification.clients.service.client import Service
from verification.errors import ObserverError, VerificationError
from verification.settings.loading import secret
from verification.settings.model import Settings
from verification.settings.monitor import Monitor
from verification.watch.criteria.from_settings import DEPENDENCIES
from verification.watch.sources.flows import UserFlows
from verification.watch.sources.metrics import InstanceSource, MetricsSource
from verification.watch.sources.observers import SentrySource, TroubleSource
from verification.watch.sources.questions import DependencySource, FlowSource, HealthSource
from verification.watch.sources.request_log import RequestLogSource
from verification.watch.sources.serving import DatabasePingSource, ServingSource, UnreachableSource
from verification.watch.sources.source import BlockSource, Source

if TYPE_CHECKING:
    from verification.settings.observers import SentrySettings


@dataclass(frozen=True, slots=True)
class Systems:
    """What can be asked; None for what is not configured."""

    service: Service
    cloud_run: CloudRun | None
    monitoring: CloudMonitoring | None
    logging: CloudLogging | None


@dataclass(frozen=True, slots=True)
class SourceFactory:
    """Makes the sources of a watch over `revision`, created at `created`, from `start` on.

    `pace` is Cloud Monitoring's; without it, that has no traffic to tell.
    """

    systems: Systems
    settings: Settings
    monitor: Monitor
    variables: Mapping[str, str]
    revision: str
    created: datetime
    start: datetime
    pace: tuple[float, float] | None
    dry_run: bool

    def traffic(self) -> list[BlockSource]:
        """The request log and Cloud Monitoring, where there are both."""
        logging, monitoring, monitor = self.systems.logging, self.systems.monitoring, self.monitor
        limit, severe = self.settings.limits.p95_latency, monitor.roll_back_at.p95_latency
        found: list[BlockSource] = []
        if logging is not None:
            found.append(
                RequestLogSource(
                    logging,
                    self.revision,
                    self.start,
                    block=monitor.block,
                    delay=monitor.log_delay,
                    limit=limit,
                    severe=severe,
                )
            )
        if monitoring is not None and self.pace is not None:
            found.append(
                MetricsSource(
                    monitoring,
                    self.revision,
                    self.start,
                    period=self.pace[0],
                    delay=self.pace[1],
                    every=monitor.observers_every,
                    limit=limit * 1000,
                    severe=severe * 1000,
                )
            )
        return found

    def others(self) -> list[Source]:
        """All that tell no traffic."""
        return [*self._service(), *self._google(), *self._sentry(), *self._database()]

    def _service(self) -> list[Source]:
        service, health, monitor = self.systems.service, self.settings.health, self.monitor
        found: list[Source] = []
        if health.basic:
            found.append(HealthSource(service, health.basic, monitor.health_every))
        if health.deep:
            names = [name for name in DEPENDENCIES if getattr(self.settings.limits, f"{name}_latency") is not None]
            found.append(DependencySource(service, health.deep, names, monitor.dependencies_every))
        flows = UserFlows(service, self.settings.flows, self.variables).by_name()
        if flows:
            found.append(FlowSource(flows, monitor.flows_every))
        return found

    def _google(self) -> list[Source]:
        systems, monitor = self.systems, self.monitor
        found: list[Source] = []
        if systems.cloud_run is not None:
            # As often as the service itself: what somebody else's revision answers must not count as this one's.
            found.append(ServingSource(systems.cloud_run, monitor.health_every))
        if systems.monitoring is not None:
            found.append(InstanceSource(systems.monitoring, self.start, every=monitor.observers_every))
        if systems.logging is not None:
            every, delay = monitor.observers_every, monitor.log_delay
            # From the revision's first moment on: what it complained of before the watch counts, too.
            found.append(TroubleSource(systems.logging, self.revision, self.created, every=every, delay=delay))
        return found

    def _sentry(self) -> list[Source]:
        settings, every = self.settings.sentry, self.monitor.observers_every
        if settings is None:
            return []
        try:
            return [self._asking_sentry(settings)]
        except VerificationError as problem:  # no token
            return [UnreachableSource(SentrySource.streams, problem, every)]

    def _asking_sentry(self, settings: SentrySettings) -> Source:
        from verification.clients.sentry.client import Sentry

        return SentrySource(
            Sentry(settings, self.variables),
            settings,
            self.created,
            every=self.monitor.observers_every,
            variables=self.variables,
            dry_run=self.dry_run,
        )

    def _database(self) -> list[Source]:
        reference, every = self.monitor.mongodb, self.monitor.dependencies_every
        if reference is None:
            return []
        try:
            address = secret(reference, "monitor.mongodb", self.variables)
        except VerificationError as problem:
            return [UnreachableSource(DatabasePingSource.streams, problem, every)]
        return [DatabasePingSource(address, every, self.settings.smoke.timeout)]


def pace_of(monitoring: CloudMonitoring | None) -> tuple[float, float] | None:
    """How long Cloud Monitoring's samples are, and how long after their end they can be seen; None if it is down."""
    try:
        return monitoring.delay() if monitoring else None
    except ObserverError:
        return None
