"""A terminal in memory, and what there is to see on it."""

from __future__ import annotations

import pyte
import pytest

from verification.probe import Progress
from verification.series import RowState, WatchRow, WatchSnapshot

ASKED = Progress({"test_suite": 42.4, "sentry_review": 41.6}, answered=14, of=20)

NOTHING = Progress({}, answered=20, of=20)

WATCH = WatchSnapshot(
    432.0,
    900.0,
    (
        WatchRow("p95_latency", "312 ms", "500 ms", RowState.GOOD, (300.0, 310.0, None, 312.0)),
        WatchRow("error_rate", "7.3 %", "1 %", RowState.BAD, (0.0, 0.1, 7.3)),
        WatchRow("sentry_error_rate", "missing", "1 %", RowState.UNKNOWN, (None, None)),
    ),
    ("started with the first request at 10:15:07 UTC",),
)


class Clock:
    """A clock that a test sets."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


class Screen:
    """A terminal of this size, and what is on it."""

    def __init__(self, columns: int = 100, lines: int = 30) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self.screen)

    def feed(self, text: str) -> None:
        # A terminal device makes a carriage return and a line feed of a newline.
        self._stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a terminal of 100 columns, whatever the test run itself writes to."""
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch
