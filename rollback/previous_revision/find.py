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

    Without one, `problem` says why, `code` is that of the guard that withholds the rollback, and `likeliest` is what a
    person would choose first, if anything is. `hosts` are those that users asked, as far as the request log tells.
    `unconfirmed` says who could not be heard, where nothing but somebody's note names the revision.
    """

    revision: str = ""
    evidence: str = ""
    problem: str = ""
    code: str = ""
    likeliest: str = ""
    hosts: frozenset[str] = frozenset()
    unconfirmed: str = ""


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
    unfit = {one.source: said for one in speaking if (said := _unfit(cloud_run, failing, one))}
    fit = [one for one in speaking if one.source not in unfit]
    if unfit:
        problem = "; ".join((*unfit.values(), *([_who_names_what(fit)] if fit else [])))
        return _unknown(problem, fit, candidates(cloud_run, failing), bad)
    if len(named) > 1:  # the first is what users were answered by, if anybody saw that
        problem = f"what served before {failing.name} is disputed: {_who_names_what(speaking)}"
        return Previous(problem=problem, code="target_disputed", likeliest=named[0])
    if not named:
        silent = "; ".join(one.text for one in told)
        problem = f"which revision served before {failing.name} is not known: nobody noted it ({silent})"
        return _unknown(problem, [], candidates(cloud_run, failing), bad)
    users, record = told[:2]
    unconfirmed = users.text if users.unheard and not record.revision else ""
    return Previous(named[0], "; ".join(one.text for one in speaking), unconfirmed=unconfirmed)


def candidates(cloud_run: CloudRun, serving: RevisionState) -> list[RevisionState]:
    """What could serve instead, newest first: Ready, and created before `serving`. Raises ObserverError."""
    return [known for known in cloud_run.revisions(LISTED) if known.ready and known.created < serving.created]


def candidates_text(found: Sequence[RevisionState]) -> str:
    """The candidates in one sentence."""
    if not found:
        return "No older revision is Ready."
    listed = "; ".join(f"{known.name} (created {known.created:%Y-%m-%d %H:%M} UTC)" for known in found[:5])
    return f"Ready and older: {listed}{'; and more' if len(found) > 5 else ''}."


def _unknown(
    problem: str, fit: Sequence[Testimony], possible: Sequence[RevisionState], bad: Mapping[str, str]
) -> Previous:
    """Nothing to go back to unasked; the likeliest is what somebody names who may be right, else the newest that is."""
    likely = [*(one.revision for one in fit), *(known.name for known in possible if known.name not in bad)]
    problem = f"{problem}. {candidates_text(possible)}"
    return Previous(problem=problem, code="target_unknown", likeliest=likely[0] if likely else "")


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
