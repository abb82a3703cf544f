"""`[deployment_log]` and `[followup]`: the record over all deployments, and what is looked at once one is through."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from verification.settings.tables import Table, Text
from verification.settings.units import Seconds, Share

_Reference = Annotated[str, Field(pattern=r"^\$[A-Z][A-Z0-9_]*$")]


class Targets(Table):
    """`[deployment_log.targets]`: the checklist's "Deployment Metrics". `per_week` is from, to; more is no failure."""

    per_week: tuple[float, float] = Field(default=(2, 3), strict=False)
    duration: Seconds = Field(default=600, gt=0)
    rollback_rate: Share = 0.05
    recovery: Seconds = Field(default=300, gt=0)
    success_rate: Share = 0.95

    @model_validator(mode="after")
    def _from_less_to_more(self) -> Targets:
        least, most = self.per_week
        if not 0 <= least <= most:
            raise ValueError("per_week is two numbers, the smaller one first, such as [2, 3]")
        return self


class DeploymentLogSettings(Table):
    """`[deployment_log]`: a file beside the runs' folders, or (with `mongodb`) a collection that a team shares.

    `mongodb` names the environment variable with the address, as "$NAME". Fewer deployments than `enough` tell nothing.
    """

    mongodb: _Reference | None = None
    collection: Text = "deployments"
    timeout: Seconds = Field(default=10, gt=0, le=120)
    enough: int = Field(default=5, ge=1)
    targets: Targets = Targets()


class ApprovedResources(Table):
    """`[followup.approved_resources]`: values that a new revision may have although the one before had others."""

    cpu: Text | None = None
    memory: Text | None = None
    min_instances: int | None = Field(default=None, ge=0)
    max_instances: int | None = Field(default=None, ge=0)


class IdlePrices(Table):
    """`[followup.idle_prices]`: what an instance that waits costs, in USD for a vCPU-second and a GiB-second.

    The defaults are Cloud Run's in its cheapest regions (https://cloud.google.com/run/pricing): idle instances of a
    service that is billed by request; `always_...` for one that has its CPU always.
    """

    cpu: float = Field(default=0.0000025, ge=0)
    memory: float = Field(default=0.0000025, ge=0)
    always_cpu: float = Field(default=0.000018, ge=0)
    always_memory: float = Field(default=0.000002, ge=0)


class Followup(Table):
    """`[followup]`: `second_watch` follows the first one; `trend_after` is when a day of Sentry tells of the release.

    `trend_growth`: by how much the error rate may exceed that of the day before, beyond what chance explains.
    `signed_off_by` answers for people in a rehearsal; it is refused outside the sandbox.
    """

    second_watch: Seconds = Field(default=900, gt=0)
    trend_after: Seconds = Field(default=86_400, ge=0)
    trend_growth: Share = 0.5
    signed_off_by: Text | None = None
    approved_resources: ApprovedResources = ApprovedResources()
    idle_prices: IdlePrices = IdlePrices()
