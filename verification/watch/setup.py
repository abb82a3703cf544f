"""Puts the watch of a run together: which revision, what was normal before it, which sources, which criteria."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from verification.clients.google.cloud_logging import CloudLogging
from verification.clients.google.cloud_monitoring import CloudMonitoring
from verification.clients.google.cloud_run import CloudRun
from verification.clients.service.client import Service
from verification.deadline import Deadline, poll
from verification.errors import ObserverError, SettingsError, VerificationError
from verification.probe import Resources
from verification.series import WatchSnapshot
from verification.settings.model import Settings
from verification.settings.monitor import Monitor
from verification.watch.baseline import Baseline, file_of, latest_visible, read_baseline, stored
from verification.watch.criteria.from_settings import BlockGrid, configured_criteria
from verification.watch.criteria.traffic import LOG, METRICS
from verification.watch.result import WatchResult
from verification.watch.samples import Sample, SampleFile
from verification.watch.sources.factory import SourceFactory, Systems, pace_of
from verification.watch.watch import BEGUN, Watch, WatchPlan

SAMPLES = "samples.csv"
_PAUSE = 0.5
_BY_SETTING = {"cloud_logging": LOG, "cloud_monitoring": METRICS}


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the run was asked for: the revision (empty: the newest), profiles, and the run whose watch is resumed."""

    revision: str
    profiles: tuple[str, ...]
    dry_run: bool
    resume: Path | None
    notices: list[str]  # what a reader of the report must know


class Watcher:
    """The watch of one run, made from the run's `resources`; `order` is asked for when it begins."""

    def __init__(self, resources: Resources, order: Callable[[], WatchOptions]) -> None:
        self._resources, self._order = resources, order
        self._watch: Watch | None = None
        self._stopped = threading.Event()
        self._skew = timedelta()

    def watch(self) -> WatchResult:
        """Watch to the end. Raises ObserverError where the revision never serves or the watch cannot be resumed."""
        order = self._order()
        self._set_clock(order.notices)
        revision, created = self._serving(order.revision)
        earlier = _earlier(order.resume, revision) if order.resume else []
        monitor = self._monitor
        # Both may take their time, where Cloud Monitoring is down: the watch begins after that.
        baseline, pace = self._baseline(created), pace_of(self._systems.monitoring)
        start = earlier[0].at if earlier else self._clock()
        plan = WatchPlan(revision, start, monitor.seconds(order.profiles), monitor.at_most(order.profiles), monitor)
        sources = SourceFactory(
            self._systems, self._settings, monitor, self._variables, revision, created, start, pace, order.dry_run
        )
        traffic = sources.traffic() if revision else []
        first = self._first(baseline)
        traffic.sort(key=lambda source: source.stream != first)
        grids = {source.stream: BlockGrid(source.block, plan.at_most) for source in traffic}
        criteria = configured_criteria(self._settings, monitor, baseline, grids)
        self._watch = Watch(plan, criteria, traffic, sources.others(), SampleFile(self._logs / SAMPLES), self._clock)
        self._watch.begin()
        self._watch.replay(earlier[1:])
        if self._stopped.is_set():
            self._watch.stop()
        return WatchResult(self._watch.run(), "there is nothing to watch it with (which revision serves is not known)")

    def snapshot(self) -> WatchSnapshot | None:
        """The watch as it stands, for whoever looks on; None while there is none."""
        return self._watch.snapshot() if self._watch else None

    def stop(self) -> None:
        """End it: nobody waits for it any more."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.stop()

    @property
    def _settings(self) -> Settings:
        return cast("Settings", self._resources.get("settings"))

    @property
    def _monitor(self) -> Monitor:
        if self._settings.monitor is None:
            raise SettingsError("monitor is not configured", "Add a table [monitor] to deployment.toml.")
        return self._settings.monitor

    @property
    def _logs(self) -> Path:
        return cast("Path", self._resources.get("logs"))

    @property
    def _variables(self) -> dict[str, str]:
        return cast("dict[str, str]", self._resources.get("variables"))

    @property
    def _systems(self) -> Systems:
        get = self._resources.get
        return Systems(
            cast("Service", get("service")),
            cast("CloudRun | None", get("cloud_run")),
            cast("CloudMonitoring | None", get("cloud_monitoring")),
            cast("CloudLogging | None", get("cloud_logging")),
        )

    def _clock(self) -> datetime:
        """The time as Google's systems have it: theirs is what logs and metrics carry."""
        return cast("Callable[[], datetime]", self._resources.get("clock"))() + self._skew

    def _set_clock(self, notices: list[str]) -> None:
        health = self._settings.health.basic
        if health is None:
            return
        self._skew = self._systems.service.get(health.path, retry_503=False).clock_skew
        if seconds := round(self._skew.total_seconds()):
            late = "behind" if seconds > 0 else "ahead of"
            notices.append(f"this machine's clock is {abs(seconds)} s {late} the service's: the watch goes by theirs")

    def _serving(self, named: str) -> tuple[str, datetime]:
        """The revision under watch and when it was created, once it serves everything; as far as Cloud Run tells.

        Raises ObserverError when it does not within `first_request_within`.
        """
        cloud_run = self._systems.cloud_run
        if cloud_run is None:
            return named, self._clock()
        problem = ""

        def settled() -> tuple[str, datetime] | None:
            nonlocal problem
            try:
                state = cloud_run.service()
                wanted = named or state.latest_created
                if state.sole_revision == wanted and not state.moving:
                    return wanted, cloud_run.revision(wanted).created
                problem = f"{wanted} does not get all requests: {state.traffic_text}"
            except ObserverError as silence:
                if not problem:  # an outage of Cloud Run's API is none of the service: its other questions are asked
                    return named, self._clock()
                problem = silence.cause
            return None

        serving = poll(settled, Deadline.after(self._monitor.first_request_within), _PAUSE, pause=self._stopped.wait)
        if serving is None:
            raise ObserverError(
                f"there is nothing to watch: {problem}", "Send the traffic to the new revision, then watch again."
            )
        return serving

    def _baseline(self, created: datetime) -> Baseline | None:
        """The half hour before the revision was created; where that cannot be read, what `pre` kept of it."""
        run, monitoring = self._settings.target.cloud_run, self._systems.monitoring
        if run is None:
            return None
        if monitoring is None:
            return self._kept(run.service, created)
        try:
            until = min(created, latest_visible(monitoring, self._clock()))
            return read_baseline(monitoring, run.service, until)
        except VerificationError:
            return self._kept(run.service, created)

    def _kept(self, service: str, created: datetime) -> Baseline | None:
        try:
            found = stored(file_of(self._logs.parent, self._settings.environment))
        except ObserverError:
            return None
        return found if found and found.service == service and found.until <= created else None

    def _first(self, baseline: Baseline | None) -> str:
        """The stream that is preferred: the log, unless there is too much traffic to read each request."""
        monitor = self._monitor
        if monitor.source in _BY_SETTING:
            return _BY_SETTING[monitor.source]
        return METRICS if baseline and baseline.rpm > monitor.logs_up_to_rpm else LOG


def _earlier(folder: Path, revision: str) -> list[Sample]:
    """What the watch of an earlier run saw, its beginning first. Raises ObserverError where it cannot be resumed."""
    samples = SampleFile(folder / SAMPLES).read()
    if not samples or samples[0].stream != BEGUN:
        raise ObserverError(
            f"{folder} has no watch that could be resumed", "Name the folder of a run with samples.csv."
        )
    if samples[0].key != revision:
        raise ObserverError(
            f"{folder} watched {samples[0].key}, and {revision} is to be watched now", "Watch anew, without --resume."
        )
    return samples


def newest_watch(output: Path, environment: str) -> Path | None:
    """The newest run's folder below `output` that watched `environment`, if there is one."""
    found = [file.parent for file in output.glob(f"*-{environment}-*/{SAMPLES}") if not file.parent.is_symlink()]
    return max(found, key=lambda folder: folder.name, default=None)
