"""Which revision served before, by all who can tell.

Cloud Run cannot. Its list of revisions is in order of creation, and the second in that list may never have served. So
the answer comes from whom users were answered by, from our own serving record, and from whoever noted it. All that
speak must agree, none may name a revision that is known to be bad, and without evidence there is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rollback.context import RollbackContext
from rollback.previous_revision.witnesses import LISTED, Testimony, Witnesses
from verification.clients.google.cloud_run import Absent, CloudRun, RevisionState
from verification.records.rollback_plan import PreviousRevisionHint

_WITHIN = 5.0  # seconds for each observer


@dataclass(frozen=True, slots=True)
class Previous:
    """The revision to go back to, and `evidence`: where that is known from.

    Without one, `problem` says why, and `code` is that of the guard that withholds the rollback. `hosts` are those that
    users asked, as far as the request log tells.
    """

    revision: str = ""
    evidence: str = ""
    problem: str = ""
    code: str = ""
    hosts: frozenset[str] = frozenset()


def find_previous(
    context: RollbackContext,
    failing: RevisionState,
    hint: PreviousRevisionHint | None,
    *,
    within: float = _WITHIN,
    tag_addresses: Sequence[str] = (),
) -> Previous:
    """What served before `failing`, by all who can tell. Raises ObserverError."""
    told, bad = Witnesses(context, failing, min(within, _WITHIN), tuple(tag_addresses)).hear(hint)
    found = _agreed(context.cloud_run.limited_to(within), failing, told, bad)
    return replace(found, hosts=frozenset().union(*(one.hosts for one in told)))


def _agreed(cloud_run: CloudRun, failing: RevisionState, told: Sequence[Testimony], bad: Mapping[str, str]) -> Previous:
    speaking = [one for one in told if one.revision]
    named = list(dict.fromkeys(one.revision for one in speaking))
    if any(name in bad for name in named):
        known = [f"{name} {bad[name]}" for name in named if name in bad]
        return Previous(problem=f"{' and '.join(known)}, and {_who_names_what(speaking)}", code="target_was_bad")
    problem = next((said for one in speaking if (said := _unfit(cloud_run, failing, one))), "")
    if problem:
        return _unknown(problem)
    if len(named) > 1:
        problem = f"what served before {failing.name} is disputed: {_who_names_what(speaking)}"
        return Previous(problem=problem, code="target_disputed")
    if not named:
        silent = "; ".join(one.text for one in told)
        return _unknown(
            f"which revision served before {failing.name} is not known: nobody noted it ({silent}). "
            f"{candidates_text(candidates(cloud_run, failing))}"
        )
    return Previous(named[0], "; ".join(one.text for one in speaking))


def candidates(cloud_run: CloudRun, serving: RevisionState) -> list[RevisionState]:
    """What could serve instead, newest first: Ready, and created before `serving`. Raises ObserverError."""
    return [known for known in cloud_run.revisions(LISTED) if known.ready and known.created < serving.created]


def candidates_text(found: Sequence[RevisionState]) -> str:
    """The candidates in one sentence."""
    if not found:
        return "No older revision is Ready."
    listed = "; ".join(f"{known.name} (created {known.created:%Y-%m-%d %H:%M} UTC)" for known in found[:5])
    return f"Ready and older: {listed}{'; and more' if len(found) > 5 else ''}."


def _unknown(problem: str) -> Previous:
    return Previous(problem=problem, code="target_unknown")


def _who_names_what(told: Sequence[Testimony]) -> str:
    return "; ".join(f"{one.revision} is named by {one.text}" for one in told)


def _unfit(cloud_run: CloudRun, failing: RevisionState, told: Testimony) -> str:
    """Why what was named cannot be gone back to, or nothing."""
    name = told.revision
    if name == failing.name:
        return f"{told.source} names {name} as the previous revision, but that is the one that serves now"
    try:
        found = cloud_run.revision(name)
    except Absent:
        return f"{told.source} names {name} as the previous revision, but Cloud Run has no such revision"
    return "" if found.ready else f"{name} ({told.source}) is not Ready: {found.problem or 'no reason given'}"
