"""Several runs of one release, one phase after another, as the one record that a ticket shows.

A phase that was run twice counts as it came out last, unless a rollback followed from it: that is never taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.page_sections import phase_rank
from verification.errors import ObserverError
from verification.records.deployments import latest_known
from verification.records.run_record import CriterionResult, RollbackOutcome, RunRecord


def merge_runs(records: Sequence[RunRecord]) -> RunRecord:
    """One record of all. Raises ObserverError where they are not of one release."""
    runs = sorted(records, key=lambda run: run.started)
    _must_be_one_release(runs)
    counting, superseded = _counting(runs)
    last, deployed = runs[-1], _of_production(runs)
    moved = next((run for run in reversed(runs) if run.rollback.outcome is not RollbackOutcome.NOT_NEEDED), last)
    unfinished = any(run.finished is None for run in counting)
    return replace(
        last,
        environment=", ".join(dict.fromkeys(run.environment for run in runs)),
        phases=tuple(sorted({phase for run in runs for phase in run.phases}, key=phase_rank)),
        profiles=tuple(dict.fromkeys(profile for run in runs for profile in run.profiles)),
        service=latest_known((run.service for run in deployed), ""),
        target=latest_known((run.target for run in deployed), ""),
        revision=latest_known((run.revision for run in deployed), ""),
        previous_revision=latest_known((run.previous_revision for run in deployed), ""),
        commit=latest_known((_commit(run) for run in runs), ""),
        dry_run=any(run.dry_run for run in runs),
        started=runs[0].started,
        finished=None if unfinished else max(run.finished for run in runs if run.finished),
        criteria_selected=sum(run.criteria_selected for run in counting),
        criteria_in_phase=sum(run.criteria_in_phase for run in counting),
        not_configured={name: why for run in counting for name, why in run.not_configured.items()},
        not_asked={name: why for run in counting for name, why in run.not_asked.items()},
        criteria=[_named(result, run, runs) for run in counting for result in run.criteria],
        notices=[f"{_name(run)}: {notice}" for run in counting for notice in run.notices] + superseded,
        interrupted="; ".join(dict.fromkeys(run.interrupted for run in counting if run.interrupted)),
        rollback=moved.rollback,
        why=moved.why or next((run.why for run in reversed(counting) if run.why), ()),
        called=[line for run in counting for line in run.called],
        timeline=sorted((event for run in runs for event in run.timeline), key=lambda event: event.at),
    )


def _must_be_one_release(runs: Sequence[RunRecord]) -> None:
    for what, values in (
        ("commits", {_commit(run) for run in runs}),
        ("revisions", {run.revision for run in _of_production(runs)}),
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
    for run in runs:
        key = (run.environment, run.phases)
        before = newest.get(key)
        if before is not None and before.rollback.outcome is not RollbackOutcome.NOT_NEEDED:
            key = (run.environment, (*run.phases, "after a rollback"))
        elif before is not None:
            superseded.append(
                f"{_name(before)} was run again; the run of {before.started:%H:%M:%S} UTC is left out here"
            )
        newest[key] = run
    return sorted(newest.values(), key=lambda run: run.started), superseded


def _commit(run: RunRecord) -> str:
    """The release's commit; before the deployment, the one that staging was held against."""
    compared = [
        str(value.limit)
        for result in run.criteria
        if result.name == "staging_runs_release_candidate"
        for value in result.measurements
        if value.name == "commit" and value.limit
    ]
    return run.commit or (compared[0] if compared else "")


def _of_production(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that saw the release deployed; all of them where none did."""
    return [run for run in runs if set(run.phases) - {"pre"}] or list(runs)


def _named(result: CriterionResult, run: RunRecord, runs: Sequence[RunRecord]) -> CriterionResult:
    """The result under an id of its own: staging and production may both have been asked the same."""
    twice = any(
        other.environment != run.environment and result.id in {other_result.id for other_result in other.criteria}
        for other in runs
    )
    return replace(result, id=f"{result.id}[{run.environment}]") if twice else result


def _name(run: RunRecord) -> str:
    return f"{', '.join(run.phases) or 'verification'} ({run.environment})"
