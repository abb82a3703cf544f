"""The loggers of this process, of which others may come at any moment: probes import in their threads."""

from __future__ import annotations

import logging
from collections.abc import ValuesView

Loggers = dict[str, "logging.Logger | logging.PlaceHolder"]


class _SnapshotLoggers(Loggers):
    """Loggers by name; whoever walks through them sees those that there were when the walk began."""

    def values(self) -> ValuesView[logging.Logger | logging.PlaceHolder]:  # type: ignore[override]
        return self.copy().values()


def let_them_be_walked() -> None:
    """Have walks through all loggers outlast a logger that comes meanwhile; doing it twice changes nothing.

    pytest (9.2, `_pytest.logging.catching_logs`) walks through them without logging's lock before each setup, call and
    teardown. A probe that imported just then broke a criterion with "dictionary changed size during iteration", and
    the one after it, too, as nothing was torn down.
    """
    manager = logging.root.manager
    if not isinstance(manager.loggerDict, _SnapshotLoggers):
        manager.loggerDict = _SnapshotLoggers(manager.loggerDict)
