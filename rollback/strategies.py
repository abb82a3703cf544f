"""Ways to move all traffic to one revision. Each ends by its deadline, or raises; twice is the same as once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rollback.sight import Blind, Seen, Sight

_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Shift:
    """Where all traffic shall go. `check` raises RollbackWithheld for a split from which that must not be done."""

    to: str
    check: Callable[[Seen], None]


class Strategy(Protocol):
    """A way to move traffic, and how many seconds it may take."""

    @property
    def name(self) -> str:
        """As the settings and the report call it."""
        ...

    @property
    def within(self) -> float:
        """Its own deadline."""
        ...

    def obstacle(self) -> str:
        """Why it cannot be tried here, or nothing."""
        ...

    def shift(self, shift: Shift, until: float) -> None:
        """Return once `shift.to` is seen to serve everything; `until` is on the monotonic clock.

        Raises RollbackWithheld when the check does, RollbackFailed when it does not get through.
        """
        ...


def arrived(sight: Sight, to: str, until: float) -> str:
    """Look until `to` serves everything: nothing then, else what serves instead when `until` has come."""
    while True:
        try:
            seen = sight.look(until)
        except Blind as blind:
            found = f"what serves cannot be seen: {blind.cause}"
        else:
            if seen.sole_revision == to:
                return ""
            found = f"{seen.text} ({seen.source})"
        if time.monotonic() + _PAUSE > until:
            return found
        time.sleep(_PAUSE)
