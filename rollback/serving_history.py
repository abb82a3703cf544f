"""The serving record: which revision served when, as our own runs saw it. It says what "the previous revision" is.

JSON Lines, appended only. Cloud Run keeps no such history: it lists what was created, not what served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from verification.records.jsonl import append_line, read_lines
from verification.settings.model import CloudRun
from verification.verdict import now


class Kind(StrEnum):
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
    kind: Kind
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServingRecord:
    """The record in the file `path`, which need not exist."""

    path: Path

    def of(self, service: CloudRun) -> History:
        """What is known about `service`. Lines that cannot be read are passed over; so is a file that cannot."""
        wanted = (service.project, service.region, service.service)
        found = [one for line in read_lines(self.path) if (one := _parsed(line)) is not None]
        return History(tuple(one for one in found if (one.project, one.region, one.service) == wanted))

    def observe(self, service: CloudRun, revision: str, created: datetime | None) -> str:
        """Note that `revision` serves all traffic, unless that is the last thing noted. What went wrong, or nothing."""
        last = self.of(service).last
        if last is not None and (last.revision, last.kind) == (revision, Kind.SERVING):
            return ""
        return self._append(service, revision, created, Kind.SERVING)

    def rolled_back(self, service: CloudRun, revision: str, created: datetime | None) -> str:
        """Note that a rollback took `revision` out. What went wrong, or nothing."""
        return self._append(service, revision, created, Kind.ROLLED_BACK)

    def _append(self, service: CloudRun, revision: str, created: datetime | None, kind: Kind) -> str:
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
class History:
    """The observations of one service, oldest first."""

    observations: tuple[Observation, ...]

    @property
    def last(self) -> Observation | None:
        """The newest observation."""
        return self.observations[-1] if self.observations else None

    @property
    def revisions(self) -> frozenset[str]:
        """Every revision that the record mentions."""
        return frozenset(one.revision for one in self.observations)

    def taken_out(self, revision: str) -> bool:
        """Whether the last word on `revision` is that a rollback took it out."""
        words = [one.kind for one in self.observations if one.revision == revision]
        return bool(words) and words[-1] is Kind.ROLLED_BACK

    def before(self, revision: str) -> Observation | None:
        """The revision that served last before `revision` was first seen, and was not taken out; None if unknown."""
        first = next((n for n, one in enumerate(self.observations) if one.revision == revision), len(self.observations))
        earlier = self.observations[:first]
        served = [one for one in earlier if one.kind is Kind.SERVING and not self.taken_out(one.revision)]
        return served[-1] if served else None

    def undone_in_favour_of(self, revision: str) -> Observation | None:
        """The rollback because of which `revision` serves now, if any: the line of the revision that was taken out."""
        for one in reversed(self.observations):
            if one.kind is Kind.ROLLED_BACK:
                return one if one.revision != revision else None
            if one.revision != revision:
                return None
        return None


def _parsed(line: str) -> Observation | None:
    try:
        return Observation.model_validate_json(line)
    except ValidationError:
        return None
