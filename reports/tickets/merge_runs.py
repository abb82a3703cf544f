"""Several runs of one release, one phase after another, as the one record that a ticket shows.

A phase that was run twice counts as it came out last, unless a rollback followed from it: that is never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from reports.page_sections import phase_rank
from verification.errors import ObserverError
from verification.records.run_record import CriterionResult, RollbackOutcome, RollbackResult, RunRecord


def join(records: Sequence[RunRecord]) -> RunRecord:
    """One record of all. Raises ObserverError where they are not of one release."""
    runs = sorted(records, key=lambda one: one.started)
    _must_be_one_release(runs)
    counting, superseded = _counting(runs)
    last = runs[-1]
    return replace(
        last,
        environment=", ".join(dict.fromkeys(one.environment for one in runs)),
        phases=tuple(sorted({phase for one in runs for phase in one.phases}, key=phase_rank)),
        profiles=tuple(dict.fromkeys(profile for one in runs for profile in one.profiles)),
        service=_latest(one.service for one in _of_production(runs)),
        target=_latest(one.target for one in _of_production(runs)),
        revision=_latest(one.revision for one in _of_production(runs)),
        previous_revision=_latest(one.previous_revision for one in _of_production(runs)),
        commit=_latest(_commit(one) for one in runs),
        dry_run=any(one.dry_run for one in runs),
        started=runs[0].started,
        finished=None if any(one.finished is None for one in counting) else _end(runs),
        criteria_selected=sum(one.criteria_selected for one in counting),
        criteria_in_phase=sum(one.criteria_in_phase for one in counting),
        not_configured={name: why for one in counting for name, why in one.not_configured.items()},
        not_asked={name: why for one in counting for name, why in one.not_asked.items()},
        criteria=[_named(result, one, runs) for one in counting for result in one.criteria],
        notices=[f"{_name(one)}: {notice}" for one in counting for notice in one.notices] + superseded,
        interrupted="; ".join(dict.fromkeys(one.interrupted for one in counting if one.interrupted)),
        rollback=_rollback(runs, last),
        called=[line for one in counting for line in one.called],
        timeline=sorted((event for one in runs for event in one.timeline), key=lambda event: event.at),
    )


def _must_be_one_release(runs: Sequence[RunRecord]) -> None:
    for what, values in (
        ("commits", {_commit(one) for one in runs}),
        ("revisions", {one.revision for one in _of_production(runs)}),
    ):
        known = sorted(values - {""})
        if len(known) > 1:
            raise ObserverError(
                f"these runs are not of one release: their {what} are {', '.join(known)}",
                "Name the runs of one release; each is a ticket of its own.",
            )


def _counting(runs: Sequence[RunRecord]) -> tuple[list[RunRecord], list[str]]:
    """The runs that count, oldest first, and a word on each that a later one replaces."""
    newest: dict[tuple[str, tuple[str, ...]], RunRecord] = {}
    superseded = []
    for one in runs:
        key = (one.environment, one.phases)
        before = newest.get(key)
        if before is not None and before.rollback.outcome is not RollbackOutcome.NOT_NEEDED:
            key = (one.environment, (*one.phases, "after a rollback"))
        elif before is not None:
            superseded.append(
                f"{_name(before)} was run again; the run of {before.started:%H:%M:%S} UTC is left out here"
            )
        newest[key] = one
    return sorted(newest.values(), key=lambda one: one.started), superseded


def _rollback(runs: Sequence[RunRecord], last: RunRecord) -> RollbackResult:
    return next(
        (one.rollback for one in reversed(runs) if one.rollback.outcome is not RollbackOutcome.NOT_NEEDED),
        last.rollback,
    )


def _commit(run: RunRecord) -> str:
    """The release's commit; before the deployment, the one that staging was held against."""
    compared = [
        str(each.limit)
        for one in run.criteria
        if one.name == "staging_runs_release_candidate"
        for each in one.measurements
        if each.name == "commit" and each.limit
    ]
    return run.commit or (compared[0] if compared else "")


def _of_production(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that saw the release deployed; all of them where none did."""
    return [one for one in runs if set(one.phases) - {"pre"}] or list(runs)


def _named(result: CriterionResult, run: RunRecord, runs: Sequence[RunRecord]) -> CriterionResult:
    """The result under an id of its own: staging and production may both have been asked the same."""
    twice = any(
        other.environment != run.environment and any(one.id == result.id for one in other.criteria) for other in runs
    )
    return replace(result, id=f"{result.id}[{run.environment}]") if twice else result


def _latest(values: Iterable[str]) -> str:
    return next((one for one in reversed(list(values)) if one), "")


def _end(runs: Sequence[RunRecord]) -> datetime | None:
    return max((one.finished for one in runs if one.finished), default=None)


def _name(run: RunRecord) -> str:
    return f"{', '.join(run.phases) or 'verification'} ({run.environment})"
