"""The deployment log as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from reports.banner import VERDICT_SYMBOLS
from reports.text import moment, one_line
from verification.records.deployments import Deployment, DeploymentOutcome, LoggedRollback, Signature
from verification.verdict import Verdict

_COLOURS = {
    DeploymentOutcome.GOOD: "green",
    DeploymentOutcome.UNCLEAR: "yellow",
    DeploymentOutcome.FAILED: "red",
    DeploymentOutcome.ROLLED_BACK: "red",
}


class JsonEntry(BaseModel):
    """A part of what `--json` prints, read from the value of the same attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class DeploymentEntry(JsonEntry):
    """One deployment for other programs; durations are in seconds, null stands for "not known"."""

    environment: str
    service: str
    revision: str
    previous_revision: str = Field(validation_alias="previous")
    commit: str
    deployed: datetime
    verified: datetime | None
    state: DeploymentOutcome
    verdicts: dict[str, Verdict]
    profiles: tuple[str, ...]
    issues: tuple[str, ...]
    duration_s: float | None = Field(validation_alias="duration")
    failed_at: datetime | None
    recovery_s: float | None = Field(validation_alias="recovery")
    rollback: LoggedRollback | None
    rolled_back_at: datetime | None
    signed_off: tuple[Signature, ...] = Field(validation_alias="signed")


class DeploymentLogFile(JsonEntry):
    """`python -m reports log --json`: the deployments, the oldest first."""

    version: int = 1
    place: str
    deployments: tuple[DeploymentEntry, ...]


def table(deployments: Iterable[Deployment], place: str) -> Table:
    """A row for each deployment, the newest last, as logs are read."""
    shown = Table(title=f"Deployments, from {one_line(place)}", title_justify="left", title_style="bold")
    for heading in ("Deployed", "Environment", "Revision", "Commit", "State", "Verdicts", "Rollback", "Signed off"):
        shown.add_column(heading)
    for deployment in deployments:
        shown.add_row(
            moment(deployment.deployed),
            one_line(deployment.environment),
            one_line(deployment.revision),
            one_line(deployment.commit[:7]),
            Text(deployment.state, style=_COLOURS[deployment.state]),
            " ".join(f"{one_line(phase)} {VERDICT_SYMBOLS[verdict]}" for phase, verdict in deployment.verdicts.items()),
            Text(_rollback(deployment)),
            Text(
                "\n".join(f"{one_line(signature.line)}: {one_line(signature.name)}" for signature in deployment.signed)
            ),
        )
    return shown


def _rollback(deployment: Deployment) -> str:
    rollback = deployment.rollback
    if rollback is None:
        return ""
    text = f"{rollback.outcome} by {rollback.by}: to {rollback.to_revision or 'the revision before'}"
    if rollback.seconds is not None:
        text += f" in {rollback.seconds:.1f} s"
    if rollback.triggers:
        text += f", because of {', '.join(rollback.triggers)}"
    if deployment.recovery is not None:
        text += f"; well again {deployment.recovery:.1f} s after the first failure"
    return one_line(text)
