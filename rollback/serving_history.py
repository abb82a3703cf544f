"""The serving record: which revision served when, as our own runs saw it. It says what "the previous revision" is.

JSON Lines, appended only. Cloud Run keeps no such history: it lists what was created, not what served.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.deadline import now
from verification.records.jsonl import append_line, read_lines
from verification.settings.service import CloudRunSettings


class ServingEvent(StrEnum):
    """What a line tells of its revision."""

    SERVING = "serving"  # it was seen serving all traffic
    ROLLED_BACK = "rolled-back"  # a rollback took it out


class Observation(BaseModel):
    """One line. `created` is when the revision was created; lines with more keys than these are read all the same."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    observed_at: datetime
    project: str
    region: str
    service: str
    revision: str
    kind: ServingEvent
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServingHistory:
    """The record in the file `path`, which need not exist."""

    path: Path

    def about(self, service: CloudRunSettings) -> PastRevisions:
        """What is known about `service`. Lines that cannot be read are passed over; so is a file that cannot."""
        wanted = (service.project, service.region, service.service)
        found = [seen for line in read_lines(self.path) if (seen := _parsed(line)) is not None]
        return PastRevisions(tuple(seen for seen in found if (seen.project, seen.region, seen.service) == wanted))

    def observe(self, service: CloudRunSettings, revision: str, created: datetime | None) -> str:
        """Note that `revision` serves all traffic, unless that is the last thing noted. What went wrong, or nothing."""
        last = self.about(service).last
        if last is not None and (last.revision, last.kind) == (revision, ServingEvent.SERVING):
            return ""
        return self._append(service, revision, created, ServingEvent.SERVING)

    def mark_bad(self, service: CloudRunSettings, revision: str) -> str:
        """Note that a rollback took `revision` out, unless that is the last word on it. What went wrong, or nothing."""
        if self.about(service).is_marked_bad(revision):
            return ""
        return self._append(service, revision, None, ServingEvent.ROLLED_BACK)

    def _append(self, service: CloudRunSettings, revision: str, created: datetime | None, kind: ServingEvent) -> str:
        line = Observation(
            observed_at=now(),
            project=service.project,
            region=service.region,
            service=service.service,
            revision=revision,
            kind=kind,
            created=created,
        ).model_dump_json()
        try:
            append_line(self.path, line)
        except OSError as error:
            return f"the serving record {self.path} could not be written: {error.strerror}"
        return ""


@dataclass(frozen=True, slots=True)
class PastRevisions:
    """The observations of one service, oldest first."""

    observations: tuple[Observation, ...] = ()

    @property
    def last(self) -> Observation | None:
        """The newest observation."""
        return self.observations[-1] if self.observations else None

    @property
    def revisions(self) -> frozenset[str]:
        """Every revision that the record mentions."""
        return frozenset(seen.revision for seen in self.observations)

    def is_marked_bad(self, revision: str) -> bool:
        """Whether the last word on `revision` is that a rollback took it out."""
        words = [seen.kind for seen in self.observations if seen.revision == revision]
        return bool(words) and words[-1] is ServingEvent.ROLLED_BACK

    def before(self, revision: str, bad: Container[str] = ()) -> Observation | None:
        """The revision that served last before `revision` was first seen, and is not marked bad; None if unknown.

        `bad` are those that are known to be bad from elsewhere.
        """
        seen_first = (index for index, seen in enumerate(self.observations) if seen.revision == revision)
        earlier = self.observations[: next(seen_first, len(self.observations))]
        serving = (seen for seen in earlier if seen.kind is ServingEvent.SERVING)
        good = [seen for seen in serving if seen.revision not in bad and not self.is_marked_bad(seen.revision)]
        return good[-1] if good else None

    def rolled_back_for(self, revision: str) -> Observation | None:
        """The rollback because of which `revision` serves now, if any: the line of the revision that was marked bad."""
        for seen in reversed(self.observations):
            if seen.kind is ServingEvent.ROLLED_BACK:
                return seen if seen.revision != revision else None
            if seen.revision != revision:
                return None
        return None


def _parsed(line: str) -> Observation | None:
    try:
        return Observation.model_validate_json(line)
    except ValidationError:
        return None
