"""What the stand-ins for Slack, GitHub, PagerDuty and Statuspage have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from starlette.responses import HTMLResponse

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
OUTAGE = HTMLResponse("<html><head><title>503 Service Unavailable</title></head><body></body></html>", 503)


@dataclass(slots=True)
class Refusals:
    """How many of the next requests a rate limit refuses, and what it tells them to wait."""

    times: int = 0
    retry_after: int = 1  # seconds
    status: int = 429
    kind: str = ""

    def begin(self, times: int, retry_after: int, status: int = 429, kind: str = "") -> Callable[[], None]:
        """Refuse the next requests; what is returned lifts the limit."""
        self.times, self.retry_after, self.status, self.kind = times, retry_after, status, kind
        return partial(setattr, self, "times", 0)

    def take(self) -> bool:
        """Whether the request at hand is refused; each one counts."""
        refused = self.times > 0
        self.times -= refused
        return refused


def iso(at: datetime) -> str:
    """A time to the second, as these APIs write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
