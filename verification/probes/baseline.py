"""The probe that records what is normal, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from verification.clients.google.cloud_monitoring import SYSTEM, CloudMonitoring
from verification.errors import ObserverError, VerificationError
from verification.probe import probe
from verification.settings.model import Settings
from verification.verdict import Measurement, record
from verification.watch.baseline import Baseline, file_of, latest_visible, read_baseline, store, with_history

if TYPE_CHECKING:
    from verification.clients.service.answer import Answer

_RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class RecordedBaseline:
    """The baseline, or why there is none; neither where no Cloud Run service is configured."""

    baseline: Baseline | None = None
    problem: VerificationError | None = None

    def must_be_recorded(self) -> None:
        """Hold that it was recorded; what is normal stands in the report."""
        __tracebackhide__ = True
        if self.baseline is None and self.problem is None:
            return
        for figure in self._figures(self.baseline) if self.baseline else ():
            record(figure)
        self._state.must_be(_RECORDED)

    @property
    def _state(self) -> Measurement:
        value = _RECORDED if self.baseline and not self.problem else None
        return Measurement("baseline for the watch", value, source=SYSTEM, problem=self.problem)

    def _figures(self, baseline: Baseline) -> list[Measurement]:
        window = (baseline.until - baseline.since).total_seconds()
        rate = baseline.error_rate
        values = {
            ("requests a minute", ""): round(baseline.rpm, 1),
            ("error rate", "%"): None if rate is None else round(rate * 100, 3),
            ("p95 latency", "ms"): None if baseline.p95_ms is None else round(baseline.p95_ms),
            ("dispersion of the errors", ""): round(baseline.dispersion.likely, 2),
            ("instances", ""): _range(baseline.instances),
        }
        return [
            Measurement(name, value, unit, source=SYSTEM, samples=baseline.requests, window_s=window)
            for (name, unit), value in values.items()
        ]


def _range(counts: tuple[int, int] | None) -> str:
    if counts is None:
        return "not known"
    fewest, most = counts
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


@probe
def baseline(
    settings: Settings,
    cloud_monitoring: CloudMonitoring | None,
    deep_health: Answer,
    logs: Path,
    clock: Callable[[], datetime],
) -> RecordedBaseline:
    """Record the last half hour of production, as far as it can be seen yet."""
    run = settings.target.cloud_run
    if cloud_monitoring is None or run is None:
        return RecordedBaseline()
    try:
        until = latest_visible(cloud_monitoring, clock())
        half_hour = read_baseline(cloud_monitoring, run.service, until, latencies_of(deep_health))
        found = with_history(cloud_monitoring, half_hour)
        if found.requests:
            store(file_of(logs.parent, settings.environment), found)
    except VerificationError as problem:
        return RecordedBaseline(problem=problem)
    return RecordedBaseline(found, None if found.requests else _nobody(found))


def latencies_of(answer: Answer) -> dict[str, float]:
    """What the deep health says of each dependency's latency, in ms; nothing where it does not say."""
    try:
        document = answer.json()
    except VerificationError:
        return {}
    services = document.get("services") if isinstance(document, dict) else None
    found = {}
    for name, state in services.items() if isinstance(services, dict) else ():
        latency = state.get("latency_ms") if isinstance(state, dict) else None
        if isinstance(latency, (int, float)) and not isinstance(latency, bool) and 0 <= latency < float("inf"):
            found[str(name)] = float(latency)
    return found


def _nobody(found: Baseline) -> ObserverError:
    return ObserverError(
        f"{SYSTEM} has no request of {found.service} in the last 30 minutes: nothing to hold a release against",
        "Is it the right service? Without traffic, the watch has only this suite's own questions to judge by.",
    )
