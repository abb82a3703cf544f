"""Which revision served before: the question on which a rollback stands or falls.

Cloud Run cannot answer it. Its list of revisions is in order of creation, and the second in that list may never have
served. So the answer comes from whoever knew (the deploy workflow's note), or from our own serving record; without
evidence there is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollback.serving_history import PastRevisions
from verification.clients.google.cloud_run import Absent, CloudRun, RevisionState
from verification.records.rollback_plan import PreviousRevisionHint

_LISTED = 50


@dataclass(frozen=True, slots=True)
class Previous:
    """The revision to go back to, and `evidence`: where that is known from. Without one, `problem` says why."""

    revision: str = ""
    evidence: str = ""
    problem: str = ""


def find_previous(
    cloud_run: CloudRun, past: PastRevisions, failing: RevisionState, hint: PreviousRevisionHint | None
) -> Previous:
    """What served before `failing`, by the `hint` if there is one, else by the record. Raises ObserverError."""
    if hint is not None and hint.revision:
        return _check_hint(cloud_run, failing, hint.revision, hint.source)
    seen = past.before(failing.name)
    if seen is None:
        return Previous(
            problem=f"which revision served before {failing.name} is not known: nobody noted it, and the serving "
            f"record has seen none. {candidates_text(candidates(cloud_run, failing))}"
        )
    evidence = f"serving record: it was seen serving at {seen.observed_at:%Y-%m-%d %H:%M} UTC"
    try:
        found = cloud_run.revision(seen.revision)
    except Absent:
        return Previous(problem=f"{seen.revision} ({evidence}) does not exist any more")
    if not found.ready:
        return Previous(problem=f"{found.name} ({evidence}) is not Ready: {found.problem or 'no reason given'}")
    if found.created >= failing.created:
        return Previous(
            problem=f"{found.name} ({evidence}) was created after {failing.name}, which serves: it is not older"
        )
    return _check_between(cloud_run, past, failing, found, evidence)


def candidates(cloud_run: CloudRun, serving: RevisionState) -> list[RevisionState]:
    """What could serve instead, newest first: Ready, and created before `serving`. Raises ObserverError."""
    return [known for known in cloud_run.revisions(_LISTED) if known.ready and known.created < serving.created]


def candidates_text(found: Sequence[RevisionState]) -> str:
    """The candidates in one sentence."""
    if not found:
        return "No older revision is Ready."
    listed = "; ".join(f"{known.name} (created {known.created:%Y-%m-%d %H:%M} UTC)" for known in found[:5])
    return f"Ready and older: {listed}{'; and more' if len(found) > 5 else ''}."


def _check_hint(cloud_run: CloudRun, failing: RevisionState, name: str, source: str) -> Previous:
    if name == failing.name:
        return Previous(problem=f"{source} names {name} as the previous revision, but that is the one that serves now")
    try:
        found = cloud_run.revision(name)
    except Absent:
        return Previous(problem=f"{source} names {name} as the previous revision, but Cloud Run has no such revision")
    if not found.ready:
        return Previous(problem=f"{name} ({source}) is not Ready: {found.problem or 'no reason given'}")
    return Previous(name, source)


def _check_between(
    cloud_run: CloudRun, past: PastRevisions, failing: RevisionState, found: RevisionState, evidence: str
) -> Previous:
    """Deployments that no run of ours has seen may have served since: then the record is too old to act on."""
    newest = cloud_run.revisions(_LISTED)
    between = [known for known in newest if known.ready and found.created < known.created < failing.created]
    unknown = [known for known in between if known.name not in past.revisions]
    if unknown:
        return Previous(
            problem=f"the serving record is too old: it names {found.name} ({evidence}), but revisions that it has "
            f"never seen were created between that one and {failing.name}. {candidates_text([*unknown, found])}"
        )
    if len(newest) == _LISTED and newest[-1].created > found.created:
        return Previous(
            problem=f"the serving record is too old: it names {found.name} ({evidence}), and more than {_LISTED} "
            "revisions were created since"
        )
    return Previous(found.name, evidence)
