"""The probe that watches: it has its answer when the watch is over, or as soon as a criterion is certain to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verification.probe import probe

if TYPE_CHECKING:
    from verification.watch.result import WatchResult
    from verification.watch.setup import Watcher


@probe
def watch(watcher: Watcher) -> WatchResult:
    """Watch the deployed revision; one watch for all criteria."""
    return watcher.watch()
