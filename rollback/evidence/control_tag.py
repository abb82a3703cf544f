"""A run's tag at 0 % of the traffic, under which the revision from before is asked: it goes before its run is settled.

Each run has a tag of its own, and takes away no other: its journal says which one it is.
"""

from __future__ import annotations

import re
import secrets
import time

from verification.clients.google.cloud_run import TAG_AND_SERVICE, Changed, CloudRun, ServiceState, Unclear
from verification.deadline import Deadline
from verification.errors import ObserverError
from verification.operator_commands import remove_tag
from verification.records.journal import Journal, JournalEvent, JournalView

_PAUSE = 0.3
_REMOVED_WITHIN = 15.0
_OF_THE_RUN = 3  # bytes
_PREFIX, _SHORT_PREFIX = "dv-control-", "dv-"
_PATTERN = re.compile(rf"(?:{_PREFIX}|{_SHORT_PREFIX})[0-9a-f]{{{2 * _OF_THE_RUN}}}")


def new_control_tag(service: str) -> str:
    """A tag that no other run has; with a short prefix where the name of `service` leaves no room for more."""
    digits = secrets.token_hex(_OF_THE_RUN)
    fits = len(_PREFIX) + len(digits) + len(service) <= TAG_AND_SERVICE
    return f"{_PREFIX if fits else _SHORT_PREFIX}{digits}"


def is_control_tag(tag: str) -> bool:
    """Whether `tag` reads as one that a run has made up."""
    return _PATTERN.fullmatch(tag) is not None


def put_up(cloud_run: CloudRun, tag: str, revision: str, deadline: Deadline) -> str:
    """The address at which `revision` answers under `tag`, whatever others change meanwhile. Raises ObserverError."""
    limited = cloud_run.limited_to(max(deadline.remaining, _PAUSE))
    while True:
        try:
            return limited.set_tag(tag, revision, deadline.remaining)
        except Changed:  # by another run's tag, perhaps: nothing was written
            if not deadline.leaves(_PAUSE):
                raise
            time.sleep(_PAUSE)


def remove_control_tag(cloud_run: CloudRun, journal: Journal) -> str:
    """Take away the tag that the run of `journal` has set, once. What a person must do about one that stays."""
    view, service = JournalView.read(journal.path), cloud_run.settings
    if view.service not in {None, (service.project, service.region, service.service)}:
        there = "/".join(view.service or ())
        return "; ".join(f"the tag {tag} may still be there, at {there}" for tag in view.control_tags)
    return "; ".join(filter(None, (take_away(cloud_run, journal, tag) for tag in view.control_tags)))


def take_away(cloud_run: CloudRun, journal: Journal, tag: str) -> str:
    """Take `tag` away. What a person must do about one that stays, or nothing."""
    try:
        _remove(cloud_run, tag, Deadline.after(_REMOVED_WITHIN))
    except ObserverError as problem:
        command = remove_tag(cloud_run.settings, tag)
        return f"the tag {tag} may still be there ({problem.cause}): `{command}`"
    journal.write(JournalEvent.CONTROL_TAG_REMOVED, tag=tag)
    return ""


def other_control_tags(cloud_run: CloudRun, service: ServiceState) -> str:
    """That there are tags of other runs' controls, with the command that takes them away; else nothing."""
    found = sorted(line.tag for line in service.tags if is_control_tag(line.tag))
    if not found:
        return ""
    command = remove_tag(cloud_run.settings, ",".join(found))
    several = len(found) > 1
    return (
        f"{'tags' if several else 'a tag'} of other runs {'are' if several else 'is'} there at 0 % of the traffic: "
        f"{', '.join(found)}. If none of them is at work any more: `{command}`"
    )


def _remove(cloud_run: CloudRun, tag: str, deadline: Deadline) -> None:
    """Take it away, whatever others change meanwhile. Raises ObserverError."""
    while True:
        try:
            return cloud_run.remove_tag(tag, deadline.remaining)
        except (Changed, Unclear):  # what became of it is read before it is tried again
            if not deadline.leaves(_PAUSE):
                raise
            time.sleep(_PAUSE)
