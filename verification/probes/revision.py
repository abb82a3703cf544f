"""Probes of what serves: Cloud Run's traffic, and the revision that the service itself reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from verification.probe import probe
from verification.settings.model import Settings
from verification.verdict import Measurement

if TYPE_CHECKING:
    from verification.clients.google.cloud_run import CloudRun, ServiceState
    from verification.clients.service.client import Service


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who gets the requests."""

    state: ServiceState
    source: str

    @property
    def next_deployment(self) -> Measurement:
        """Who would get the traffic of the next deployment: it, or (while the traffic is pinned) the revision named."""
        to = "the new revision" if not self.state.pinned else self.state.traffic_text
        return Measurement("traffic after the next deployment", to, source=self.source)

    def share_of(self, revision: str) -> Measurement:
        """The share of requests that `revision` gets, in percent."""
        share = sum(part.percent for part in self.state.serving if part.revision == revision)
        others = ", ".join(
            f"{part.revision} gets {part.percent} %"
            for part in self.state.serving
            if part.revision != revision and part.percent
        )
        return Measurement(f"traffic of {revision}", share, unit="%", source=self.source, note=others)


@probe
def traffic(cloud_run: CloudRun, settings: Settings) -> Traffic:
    """How Cloud Run splits the traffic, once a change under way has settled."""
    state = cloud_run.settled_service(settings.smoke.timeout)
    return Traffic(state, f"Cloud Run service {state.name}")


@probe
def reported_revision(service: Service, settings: Settings) -> Measurement | None:
    """The revision that the service says answers; None where it says no such thing (not configured)."""
    reported = settings.health.reported_revision
    return service.get(reported.path).field(reported.field) if reported else None
