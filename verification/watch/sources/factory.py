"""Which sources a watch asks, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.clients.google.cloud_run import CloudRun
from verification.clients.service.client import Service
from verification.errors import ObserverError, SettingsError
from verification.settings.model import Settings
from verification.settings.monitor import Monitor
from verification.watch.criteria.from_settings import DEPENDENCIES
from verification.watch.sources.metrics import InstanceSource, MetricsSource
from verification.watch.sources.observers import SentrySource, TroubleSource
from verification.watch.sources.questions import DependencySource, FlowSource, HealthSource
from verification.watch.sources.request_log import RequestLogSource
from verification.watch.sources.serving import DatabasePingSource, ServingSource
from verification.watch.sources.source import BlockSource, Source

_ANSWERS = 3  # after the first bad one


@dataclass(frozen=True, slots=True)
class WatchContext:
    """What a watch needs of a run: its settings, the clients (None: not configured), and what somebody asked for."""

    settings: Settings
    service: Service
    origin: Service | None  # the same at its own address; None where no other is asked
    cloud_run: CloudRun | None
    monitoring: CloudMonitoring | None
    logging: CloudLogging | None
    variables: Mapping[str, str]
    logs: Path  # the run's folder
    clock: Callable[[], datetime]
    revision: str  # to be watched; empty: the newest
    profiles: tuple[str, ...]
    dry_run: bool
    resume: Path | None  # the folder of the run whose watch goes on in this one
    notices: list[str]  # what a reader of the report must know; the watch adds to it
    on_certain: Callable[[str, str], None]  # told the criterion that is certain to fail, and why, at once

    @property
    def monitor(self) -> Monitor:
        """The table [monitor]. Raises SettingsError."""
        if self.settings.monitor is None:
            raise SettingsError("monitor is not configured", "Add a table [monitor] to deployment.toml.")
        return self.settings.monitor


@dataclass(frozen=True, slots=True)
class SourceFactory:
    """Makes the sources of a watch over `revision`, created at `created`, from `start` on.

    `pace` is Cloud Monitoring's (`pace_of`); without it, that has no traffic to tell.
    """

    context: WatchContext
    revision: str
    created: datetime
    start: datetime
    pace: tuple[float, float] | None

    def traffic(self) -> list[BlockSource]:
        """The request log and Cloud Monitoring, where there are both."""
        context, about = self.context, (self.revision, self.start)
        monitor, limit = context.monitor, context.settings.limits.p95_latency
        found: list[BlockSource] = []
        if context.logging is not None:
            found.append(RequestLogSource(context.logging, *about, monitor, limit))
        if context.monitoring is not None and self.pace is not None:
            found.append(MetricsSource(context.monitoring, *about, self.pace, monitor, limit))
        return found

    def others(self) -> list[Source]:
        """All that tell no traffic."""
        return [*self._service(), *self._google(), *self._sentry(), *self._database()]

    def _service(self) -> list[Source]:
        context, health, monitor = self.context, self.context.settings.health, self.context.monitor
        service, origin = context.service, context.origin
        found: list[Source] = []
        soon = monitor.unhealthy_lasting / _ANSWERS  # what is bad has had enough answers once it has lasted
        if health.basic:
            found.append(HealthSource(service, health.basic, monitor.health_every, soon, origin))
        if health.deep:
            names = [name for name in DEPENDENCIES if getattr(context.settings.limits, f"{name}_latency") is not None]
            found.append(DependencySource(service, health.deep, names, monitor.dependencies_every))
        flows = FlowSource(service, context.settings.flows, context.variables, monitor.flows_every, soon, origin)
        if flows.streams:
            found.append(flows)
        return found

    def _google(self) -> list[Source]:
        context, monitor = self.context, self.context.monitor
        found: list[Source] = []
        if context.cloud_run is not None:
            # As often as the service itself: what somebody else's revision answers must not count as this one's.
            found.append(ServingSource(context.cloud_run, monitor.health_every))
        if context.monitoring is not None:
            found.append(InstanceSource(context.monitoring, self.start, every=monitor.observers_every))
        if context.logging is not None:
            every, delay = monitor.observers_every, monitor.log_delay
            # From the revision's first moment on: what it complained of before the watch counts, too.
            found.append(TroubleSource(context.logging, self.revision, self.created, every=every, delay=delay))
        return found

    def _sentry(self) -> list[Source]:
        context, settings, every = self.context, self.context.settings.sentry, self.context.monitor.observers_every
        if settings is None:
            return []
        return [SentrySource(settings, context.variables, self.created, every=every, dry_run=context.dry_run)]

    def _database(self) -> list[Source]:
        context, monitor, timeout = self.context, self.context.monitor, self.context.settings.smoke.timeout
        if monitor.mongodb is None:
            return []
        return [DatabasePingSource(monitor.mongodb, context.variables, monitor.dependencies_every, timeout)]


def pace_of(monitoring: CloudMonitoring | None) -> tuple[float, float] | None:
    """How long Cloud Monitoring's samples are, and how long after their end they can be seen; None if it is down."""
    try:
        return monitoring.delay() if monitoring else None
    except ObserverError:
        return None
