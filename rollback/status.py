"""`python -m rollback status`: what serves, what could serve, and whether a rollback would be possible."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Console
from rich.table import Table

from rollback.preflight import ServingSnapshot
from verification.clients.google.cloud_run import RevisionState, ServiceState
from verification.redaction import redact

_COMMIT = 12


def show(
    console: Console,
    snapshot: ServingSnapshot,
    service: ServiceState,
    revisions: list[RevisionState],
    bad: Collection[str],
) -> None:
    """Print everything that a person needs before a rollback; `bad` are the revisions that were rolled back."""
    table = Table("revision", "created (UTC)", "ready", "traffic", "commit", "", box=None, pad_edge=False)
    for revision in revisions:
        share = service.shares.get(revision.name, 0)
        table.add_row(
            revision.name,
            f"{revision.created:%Y-%m-%d %H:%M}",
            "yes" if revision.ready else "no",
            f"{share} %" if share else "",
            revision.commit[:_COMMIT],
            _mark(revision, snapshot, bad),
        )
    console.print(table)
    console.print()
    for line in _lines(snapshot, service):
        console.print(redact(line), soft_wrap=True, markup=False)


def _mark(revision: RevisionState, snapshot: ServingSnapshot, bad: Collection[str]) -> str:
    marks = []
    if revision.name == snapshot.plan.target:
        marks.append("rollback target")
    if revision.name in bad:
        marks.append("rolled back")
    if revision.problem:
        marks.append(redact(revision.problem))
    return "; ".join(marks)


def _lines(snapshot: ServingSnapshot, service: ServiceState) -> list[str]:
    plan = snapshot.plan
    if service.settled:
        settled = "yes"
    elif service.moving:
        settled = "no, a change is under way"
    else:
        settled = f"no, the last change failed: {service.problem or 'no reason given'}"
    pinned = "pinned: a new deployment gets 0 % until it is sent there" if service.pinned else "follows new deployments"
    return [
        f"serving   {service.traffic_text}",
        f"settled   {settled}",
        f"traffic   {pinned}",
        f"target    {plan.target} ({plan.evidence})" if plan.target else "target    none is known",
        *(f"obstacle  {obstacle.text}" for obstacle in plan.obstacles),
        *(f"note      {notice}" for notice in snapshot.notices),
    ]
