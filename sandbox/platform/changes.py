"""Writes to the control plane: their parts, their validation, and the operation that a caller gets back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.platform.errors import ApiError, InvalidArgument
from sandbox.platform.model import ALL_TO_LATEST, USUAL, ContainerResources, Revision, TrafficTarget

_HUNDRED_PERCENT = 100
_TAG = re.compile(r"[a-z]([a-z0-9-]{0,44}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Template:
    """What the sandbox models of a revision template. An empty `revision` has the platform choose the name."""

    image: str
    commit: str = ""
    revision: str = ""
    resources: ContainerResources = USUAL

    def describes(self, revision: Revision) -> bool:
        """Whether the revision is what this would make."""
        wanted = (self.image, self.commit, self.resources)
        return (revision.image, revision.commit, revision.resources) == wanted


@dataclass(frozen=True, slots=True)
class Change:
    """One write to a service; what is None stays as it is."""

    traffic: list[TrafficTarget] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    template: Template | None = None


@dataclass(slots=True)
class Operation:
    """A long-running operation on one service; `error` is set when it is done and failed."""

    id: str
    service: str
    started: datetime
    error: ApiError | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> bool:
        """Whether it ended, for good or ill."""
        return self.finished.is_set()

    async def wait(self, seconds: float) -> None:
        """Return when it ended, or after `seconds` at the latest."""
        try:
            await asyncio.wait_for(self.finished.wait(), seconds)
        except TimeoutError:
            return


def checked(traffic: list[TrafficTarget]) -> list[TrafficTarget]:
    """The split as it will be stored; an empty one follows the latest. Raises InvalidArgument."""
    if not traffic:
        return [ALL_TO_LATEST]
    if any(not 0 <= line.percent <= _HUNDRED_PERCENT for line in traffic):
        raise InvalidArgument("Traffic percentages must lie between 0 and 100.", "service.traffic.percent")
    if (total := sum(line.percent for line in traffic)) != _HUNDRED_PERCENT:
        raise InvalidArgument(f"Traffic percentages must add up to 100; these add up to {total}.", "service.traffic")
    tags = [line.tag for line in traffic if line.tag]
    if len(tags) != len(set(tags)):
        raise InvalidArgument("A traffic tag may be used once only.", "service.traffic.tag")
    if bad := [tag for tag in tags if not _TAG.fullmatch(tag)]:
        raise InvalidArgument(
            f"Traffic tag '{bad[0]}' is not a valid name: lower-case letters, digits and hyphens, "
            "46 characters at most.",
            "service.traffic.tag",
        )
    return list(traffic)
