"""`[monitor]`: the watch after a deployment, what it asks how often, and what follows from what it cannot tell."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from verification.settings.migrations import Reference
from verification.settings.tables import Table
from verification.settings.units import Seconds, Share

_CAREFUL = {"hotfix", "high-risk"}  # profiles
Consequence = Literal["rollback", "hold"]
TrafficSource = Literal["auto", "cloud_logging", "cloud_monitoring"]


class RollBackAt(Table):
    """The checklist's own rule: roll back above these, no lower than `[limits]`, when it lasts that long."""

    error_rate: Share = Field(gt=0, lt=0.95)
    p95_latency: Seconds = Field(gt=0)
    lasting: Seconds = Field(gt=0)


class ToleratedBurst(Table):
    """How long a burst of bad requests may be that proves nothing, for a fail and for a rollback at once."""

    fail: Seconds = 120
    roll_back: Seconds = 60


class Instances(Table):
    """How many instances are expected; without this, what the baseline saw is."""

    at_least: int = Field(default=0, ge=0)
    at_most: int = Field(ge=1)


class Monitor(Table):
    """The watch: how long, at most how long where it stays undecided, and how long for a hotfix or a high risk.

    `block` is the grid of the request log, readable `log_delay` after the fact; `logs_up_to_rpm` is the traffic up to
    which the log is read rather than Cloud Monitoring. `mongodb` names the variable with an address to ping.
    """

    watch: Seconds = Field(default=900, gt=0)
    extended_to: Seconds = Field(default=1800, gt=0)
    careful_watch: Seconds = Field(default=1800, gt=0)
    block: Seconds = Field(default=10, gt=0)
    log_delay: Seconds = 15
    health_every: Seconds = Field(default=5, gt=0)
    dependencies_every: Seconds = Field(default=30, gt=0)
    flows_every: Seconds = Field(default=30, gt=0)
    observers_every: Seconds = Field(default=30, gt=0)
    first_request_within: Seconds = Field(default=300, gt=0)
    unhealthy_lasting: Seconds = Field(default=30, gt=0)
    source: TrafficSource = "auto"
    logs_up_to_rpm: int = Field(default=3000, ge=0)
    minimum_requests: int = Field(default=300, ge=1)
    tolerated_burst: ToleratedBurst = ToleratedBurst()
    roll_back_at: RollBackAt
    instances: Instances | None = None
    mongodb: Reference | None = None
    when_ambiguous: Consequence = "rollback"
    when_unobserved: Consequence = "hold"

    @model_validator(mode="after")
    def _the_extension_is_no_shorter(self) -> Monitor:
        if self.extended_to < self.watch:
            raise ValueError("extended_to must be as long as watch, or longer")
        if self.block > self.watch / 2:
            raise ValueError("block must be much shorter than watch")
        return self

    def seconds(self, profiles: tuple[str, ...]) -> float:
        """How long a deployment with these profiles is watched."""
        careful = _CAREFUL & set(profiles)
        return max(self.watch, self.careful_watch) if careful else self.watch

    def at_most(self, profiles: tuple[str, ...]) -> float:
        """The same with every extension."""
        return max(self.extended_to, self.seconds(profiles) * self.extended_to / self.watch)

    @property
    def longest(self) -> float:
        """As long as any watch may be."""
        return self.at_most(tuple(_CAREFUL))
