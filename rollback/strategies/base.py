"""Ways to move all traffic to one revision. Each ends by its deadline, or raises; twice is the same as once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rollback.traffic import TrafficObserver, TrafficSplit, TrafficUnknown
from verification.deadline import Deadline

_PAUSE = 0.5
_AFTER_SUCCESS, _AFTER_FAILURE = 10.0, 2.0


@dataclass(frozen=True, slots=True)
class Shift:
    """Where all traffic shall go. `recheck` raises RollbackError for a split from which that must not be done."""

    target: str
    recheck: Callable[[TrafficSplit], None]


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

    def shift_traffic(self, shift: Shift, deadline: Deadline) -> None:
        """Return once `shift.target` is seen to serve everything, by the `deadline`.

        Raises RollbackWithheld when the recheck does, RollbackFailed when it does not get through.
        """
        ...

    def cancel_pending(self) -> str:
        """Cancel what was asked for and nobody follows any more, here or by a rollback that was killed.

        Later it would move the traffic of another release. Answers with what people must do about it, if anything.
        """
        ...


def wait_until_serving(observer: TrafficObserver, target: str, deadline: Deadline, *, likely: bool) -> str:
    """Look until `target` serves everything: nothing then, else what serves instead after a while.

    `likely`: success was reported, which takes a moment to be seen; else the traffic may have moved all the same.
    """
    deadline = min(deadline, Deadline.after(_AFTER_SUCCESS if likely else _AFTER_FAILURE))
    while True:
        try:
            split = observer.observe(deadline)
        except TrafficUnknown as unknown:
            found = f"what serves cannot be seen: {unknown.cause}"
        else:
            if split.sole_revision == target:
                return ""
            found = f"{split.text} ({split.source})"
        if not deadline.leaves(_PAUSE):
            return found
        time.sleep(_PAUSE)
