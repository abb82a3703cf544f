"""Iteration over all loggers of the process that outlasts a logger which is added meanwhile by another thread."""

from __future__ import annotations

import logging
from collections.abc import ValuesView

Loggers = dict[str, "logging.Logger | logging.PlaceHolder"]


class _SnapshotLoggers(Loggers):
    """Loggers by name; an iteration sees those that there were when it began."""

    def values(self) -> ValuesView[logging.Logger | logging.PlaceHolder]:  # type: ignore[override]
        return self.copy().values()


def make_iteration_safe() -> None:
    """Replace the table of loggers by one whose iteration is over a snapshot; doing it twice changes nothing.

    pytest (9.2, `_pytest.logging.catching_logs`) walks through them without logging's lock before each setup, call and
    teardown. A probe that imported just then broke a criterion with "dictionary changed size during iteration", and
    the one after it, too, as nothing was torn down.
    """
    manager = logging.root.manager
    if not isinstance(manager.loggerDict, _SnapshotLoggers):
        manager.loggerDict = _SnapshotLoggers(manager.loggerDict)
