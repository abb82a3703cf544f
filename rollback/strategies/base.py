"""Ways to move all traffic to one revision. Each ends by its deadline, or raises; twice is the same as once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rollback.traffic import Blind, Seen, Sight

_PAUSE = 0.5
_AFTER_SUCCESS, _AFTER_FAILURE = 10.0, 2.0


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

    def withdraw(self) -> str:
        """Call back what was asked for and nobody follows any more, here or by a rollback that was killed.

        Later it would move the traffic of another release. Answers with what people must do about it, if anything.
        """
        ...


def arrived(sight: Sight, to: str, until: float, *, likely: bool) -> str:
    """Look until `to` serves everything: nothing then, else what serves instead after a while, or at `until`.

    `likely`: success was reported, which takes a moment to be seen; else the traffic may have moved all the same.
    """
    until = min(until, time.monotonic() + (_AFTER_SUCCESS if likely else _AFTER_FAILURE))
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
