"""The tag at 0 % of the traffic under which the revision from before is asked: it goes before its run is settled."""

from __future__ import annotations

import time

from verification.clients.google.cloud_run import Changed, CloudRun, Unclear
from verification.deadline import Deadline
from verification.errors import ObserverError
from verification.operator_commands import remove_tag
from verification.records.journal import Journal, JournalEvent, JournalView
from verification.records.rollback_plan import CONTROL_TAG

_PAUSE = 0.3
_REMOVED_WITHIN = 15.0


def remove_control_tag(cloud_run: CloudRun, journal: Journal) -> str:
    """Take away the tag that a run of `journal` has set, once. What a person must do about one that stays."""
    view = JournalView.read(journal.path)
    return (
        take_away(cloud_run, journal)
        if view.has(JournalEvent.CONTROL_TAG_SET) and not view.has(JournalEvent.CONTROL_TAG_REMOVED)
        else ""
    )


def take_away(cloud_run: CloudRun, journal: Journal) -> str:
    """Take the tag away. What a person must do about one that stays, or nothing."""
    try:
        _remove(cloud_run, Deadline.after(_REMOVED_WITHIN))
    except ObserverError as problem:
        command = remove_tag(cloud_run.settings, CONTROL_TAG)
        return f"the tag {CONTROL_TAG} may still be there ({problem.cause}): `{command}`"
    journal.write(JournalEvent.CONTROL_TAG_REMOVED, tag=CONTROL_TAG)
    return ""


def _remove(cloud_run: CloudRun, deadline: Deadline) -> None:
    """Take the tag away, whatever others change meanwhile. Raises ObserverError."""
    while True:
        try:
            return cloud_run.remove_tag(CONTROL_TAG, deadline.remaining)
        except (Changed, Unclear):  # what became of it is read before it is tried again
            if not deadline.leaves(_PAUSE):
                raise
            time.sleep(_PAUSE)
