"""`python -m rollback status`: what serves, what could serve, and whether a rollback would be possible."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from rollback.preflight import Known
from rollback.serving_history import History
from rollback.supervisor.pending import Due, Left, newest
from verification.clients.google.cloud_run import RevisionState, ServiceState
from verification.operator_commands import resume
from verification.redaction import redact

_COMMIT = 12


def show(console: Console, known: Known, state: ServiceState, revisions: list[RevisionState], past: History) -> None:
    """Print everything that a person needs before a rollback."""
    table = Table("revision", "created (UTC)", "ready", "traffic", "commit", "", box=None, pad_edge=False)
    for one in revisions:
        share = state.shares.get(one.name, 0)
        table.add_row(
            one.name,
            f"{one.created:%Y-%m-%d %H:%M}",
            "yes" if one.ready else "no",
            f"{share} %" if share else "",
            one.commit[:_COMMIT],
            _mark(one, known, past),
        )
    console.print(table)
    console.print()
    for line in _lines(known, state):
        console.print(redact(line), soft_wrap=True, markup=False)


def unsettled(output: Path, environment: str) -> list[str]:
    """What the newest run of `environment` has not brought to its end, in lines; none when all is settled."""
    found = newest(output, environment)
    left = Left.of(found) if found is not None else None
    if left is None or left.due is Due.NOTHING:
        return []
    because = f" (triggered by {', '.join(left.triggers)})" if left.triggers else ""
    lines = [f"run       {left.folder.name} is not settled; due: {left.due}{because}"]
    if left.process is not None and left.process.lives:
        return [*lines, f"          its process ({left.process.pid}) is running, and acts itself", ""]
    return [*lines, f"          its process has ended; to bring it to its end: `{resume(environment)}`", ""]


def _mark(one: RevisionState, known: Known, past: History) -> str:
    marks = []
    if one.name == known.previous:
        marks.append("rollback target")
    if past.taken_out(one.name):
        marks.append("rolled back")
    if one.problem:
        marks.append(redact(one.problem))
    return "; ".join(marks)


def _lines(known: Known, state: ServiceState) -> list[str]:
    if state.settled:
        settled = "yes"
    else:
        settled = (
            "no, a change is under way"
            if state.moving
            else f"no, the last change failed: {state.problem or 'no reason given'}"
        )
    pinned = "pinned: a new deployment gets 0 % until it is sent there" if state.pinned else "follows new deployments"
    lines = [f"serving   {state.traffic_text}", f"settled   {settled}", f"traffic   {pinned}"]
    lines.append(f"target    {known.previous} ({known.evidence})" if known.previous else "target    none is known")
    return lines + [f"obstacle  {one}" for one in known.obstacles]
