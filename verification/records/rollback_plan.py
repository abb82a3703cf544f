"""What a rollback would do: settled at the start of a run, stored whole in its journal, carried out at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ALL = 100  # percent of the requests


class RequestedBy(StrEnum):
    """Who wants the rollback. A person's wish is not held against the policy or the age of the release."""

    FAILURE = "failure"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class PreviousRevisionHint:
    """The revision that served before, as somebody noted it; `source` says who: "variable PREVIOUS_REVISION"."""

    revision: str
    source: str


@dataclass(frozen=True, slots=True)
class NamedRevisions:
    """The deployed revision and the one before it, as somebody named them; empty where nobody did."""

    revision: str
    previous: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no rollback would be possible; `code` is that of the guard that withholds it, or the obstacle's own.

    `likeliest` is the revision that a person would choose first, where it is the choice that is in the way.
    """

    code: str
    text: str
    likeliest: str = ""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """All traffic to `target`, if the service still is as it was when the plan was made.

    `shares` is how the traffic was split then (revision -> percent; empty: not known), `evidence` where it is known
    from that `target` (empty: not known) served before, `mark_bad` the revisions to be remembered as bad. `created` is
    when the serving revision was, `deployed` the revision whose deployment is judged (empty: not known). `answered` are
    the revisions that answers named themselves. `obstacles` is what stood in the way already. `unconfirmed`: the target
    is in somebody's note alone, and who might have told otherwise was not heard (who, and why).
    """

    shares: Mapping[str, int] = field(default_factory=dict)
    target: str = ""
    evidence: str = ""
    mark_bad: tuple[str, ...] = ()
    requested_by: RequestedBy = RequestedBy.FAILURE
    created: datetime | None = None
    deployed: str = ""
    answered: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    unconfirmed: str = ""

    @property
    def revision(self) -> str:
        """The revision that served everything; empty when that is not known, or the traffic was split."""
        return next((name for name, percent in self.shares.items() if percent == ALL), "")

    @property
    def source(self) -> str:
        """What is rolled back, in words."""
        return " and ".join(self.shares)

    def obstacle(self, code: str) -> Obstacle | None:
        """The obstacle of this code, if it stood in the way."""
        return next((obstacle for obstacle in self.obstacles if obstacle.code == code), None)

    def as_fields(self) -> dict[str, object]:
        """The plan as JSON values."""
        fields: dict[str, object] = _adapter().dump_python(self, mode="json")
        return fields

    @classmethod
    def from_fields(cls, fields: object) -> RollbackPlan:
        """The plan that `as_fields` gave. Raises ValueError for anything else."""
        return _adapter().validate_python(fields)


@cache
def _adapter() -> TypeAdapter[RollbackPlan]:
    from pydantic import TypeAdapter

    return TypeAdapter(RollbackPlan)
