"""The log entries of the services: requests, what containers write, and Cloud Run's own."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import dropwhile, takewhile
from typing import Literal

REQUESTS, SYSTEM, STDOUT, STDERR = (
    f"run.googleapis.com/{name}" for name in ("requests", "varlog/system", "stdout", "stderr")
)
KEPT = 50_000  # lines; the oldest go first

Severity = Literal["INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """One request that the ingress answered. `tag` is empty on the main address.

    `revision` was asked, or would have been but for a refusal in front of it; it is empty where none could serve.
    """

    time: datetime
    method: str
    path: str
    status: int
    revision: str
    tag: str
    user_agent: str
    seconds: float  # until the response began
    url: str
    client: str  # its address
    trace: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry. `at` is when it happened, for a request when it came in; `revision` is empty where there is none.

    A request has a `text` where Cloud Run itself had something to say of it. Both times are seconds since the epoch.
    """

    log: str
    service: str
    revision: str
    severity: Severity
    at: float
    text: str = ""
    http: ServedRequest | None = None
    received: float = field(default_factory=time.time)
    insert_id: str = field(default_factory=lambda: secrets.token_hex(10))


class LogStore:
    """The newest lines of all services; `delay` is how long one stays invisible after it was received."""

    def __init__(self, delay: float, kept: int = KEPT) -> None:
        self.delay = delay
        self._lines: deque[LogLine] = deque(maxlen=kept)

    def add(self, line: LogLine) -> None:
        """Take in a line that was received now."""
        self._lines.append(line)

    def request(self, service: str, http: ServedRequest, said: str = "") -> None:
        """Take in a request that was answered now, and what Cloud Run said of it."""
        severity: Severity = "ERROR" if http.status >= 500 else "WARNING" if http.status >= 400 else "INFO"
        self.add(LogLine(REQUESTS, service, http.revision, severity, time.time() - http.seconds, said, http))

    def write(self, log: str, service: str, revision: str, severity: Severity, text: str) -> None:
        """Take in a line of text that was written now."""
        self.add(LogLine(log, service, revision, severity, time.time(), text))

    def visible(self, now: float, since: float = 0.0) -> Iterator[LogLine]:
        """The lines that can be seen at `now`, the last received first; none that was received before `since`."""
        seen = dropwhile(lambda line: line.received + self.delay > now, reversed(self._lines))
        return takewhile(lambda line: line.received >= since, seen)
