"""gcloud, where it is installed: look and shift as by Cloud Run's API, with nothing of ours in between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasPath, BaseModel, Field, ValidationError

from verification.errors import ObserverError
from verification.operator_commands import gcloud_describe, gcloud_update_traffic
from verification.settings.service import CloudRunSettings
from verification.source_tree.commands import CommandResult, Commands

_ALL = 100
_OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN"
_QUIET = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}


class _Line(BaseModel):
    revision: str = Field("", alias="revisionName")
    percent: int = 0


class _Condition(BaseModel):
    type: str
    status: str


class _Service(BaseModel):
    generation: int = Field(0, validation_alias=AliasPath("metadata", "generation"))
    asked: list[_Line] = Field([], validation_alias=AliasPath("spec", "traffic"))
    flowing: list[_Line] = Field(validation_alias=AliasPath("status", "traffic"))
    conditions: list[_Condition] = Field([], validation_alias=AliasPath("status", "conditions"))
    observed: int = Field(0, validation_alias=AliasPath("status", "observedGeneration"))


@dataclass(frozen=True, slots=True)
class GcloudTraffic:
    """What `gcloud run services describe` says of the traffic; see `rollback.traffic.TrafficSplit`."""

    shares: Mapping[str, int]
    moving: bool
    asked: str


class Gcloud:
    """gcloud's commands for one service. Their output lands in the folder `logs`; none outlives its time."""

    def __init__(self, service: CloudRunSettings, logs: Path, variables: Mapping[str, str]) -> None:
        self._service = service
        self._logs = logs
        self._variables = variables

    def obstacle(self) -> str:
        """Why it cannot be used here, or nothing."""
        if self._service.endpoint and not self._variables.get(_OVERRIDE):
            return f"gcloud does not know of cloud_run.endpoint (it is told by {_OVERRIDE})"
        if shutil.which("gcloud", path=self._variables.get("PATH", os.defpath)) is None:
            return "gcloud is not installed"
        return ""

    def traffic(self, within: float) -> GcloudTraffic:
        """What serves, asked within so many seconds. Raises ObserverError."""
        ended = self._run(gcloud_describe(self._service), within, "gcloud-describe.log")
        try:
            text = ended.log.read_text(encoding="utf-8")
            found = _Service.model_validate_json(text[text.index("{") : text.rindex("}") + 1])
        except (OSError, ValueError) as error:
            kind = "an unexpected shape" if isinstance(error, ValidationError) else "no JSON"
            raise ObserverError(f"gcloud's answer is {kind}") from None
        shares: dict[str, int] = {}
        for line in found.flowing:
            if line.percent:
                shares[line.revision] = shares.get(line.revision, 0) + line.percent
        ready = next((condition.status for condition in found.conditions if condition.type == "Ready"), "Unknown")
        moving = found.generation != found.observed or ready == "Unknown"
        asked = next((line.revision for line in found.asked if line.percent == _ALL), "")
        return GcloudTraffic(shares, moving, asked)

    def send_all_traffic_to(self, revision: str, within: float) -> None:
        """Pin all traffic to `revision`; tags stay. Raises ObserverError, after which nobody knows: look."""
        self._run(gcloud_update_traffic(self._service, revision), within, "gcloud.log")

    def _run(self, words: list[str], within: float, log: str) -> CommandResult:
        obstacle = self.obstacle()
        if obstacle:
            raise ObserverError(obstacle)
        with closing(Commands(self._logs, self._variables)) as commands:
            ended = commands.run(words, self._logs, within, log, _QUIET)
        if ended.problem is not None:
            raise ObserverError(ended.problem.cause)
        if ended.exit_code:
            raise ObserverError(f"`{ended.command}` ended with exit code {ended.exit_code}: {ended.last_lines}")
        return ended
