"""What the page's templates show where the record does not say it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from reports.banner import not_passed, value_text
from reports.charts.chart import chart
from reports.text import clock
from verification.records.run_record import PHASES, CriterionResult, RollbackOutcome, RunRecord
from verification.series import Series
from verification.settings.units import duration_text
from verification.verdict import WORST_FIRST, Measurement, show

if TYPE_CHECKING:
    from markupsafe import Markup

_RELEASE = {"commits": "Commits", "migrations": "Migrations"}


def since(start: datetime, at: datetime) -> str:
    """The time from `start`: `+2.5 s`, `+12 min 03 s`."""
    seconds = (at - start).total_seconds()
    minutes, rest = divmod(seconds, 60)
    return f"+{minutes:.0f} min {rest:02.0f} s" if minutes else f"+{rest:.1f} s"


def by_cause(record: RunRecord) -> list[list[CriterionResult]]:
    """What did not pass; criteria that one cause keeps from an answer stand together."""
    causes: dict[tuple[str, str, str], list[CriterionResult]] = {}
    for result in not_passed(record):
        causes.setdefault((result.verdict, result.reason, result.hint), []).append(result)
    return list(causes.values())


def revision_rows(record: RunRecord) -> list[tuple[str, str, str]]:
    """Who served before, during and after, and how that is known: moment, revision, traffic."""
    rows = []
    if record.previous_revision:
        rows.append(("Before", record.previous_revision, "served before"))
    if record.revision:
        values = _values(record, "serving_the_deployed_revision")
        shares = [value for value in values if value.name.startswith("traffic of ")]
        rows.append(("Deployed", record.revision, value_text(shares[-1]) if shares else "not measured"))
    result = record.rollback
    if result.outcome is RollbackOutcome.NOT_NEEDED or not (result.to_revision or result.from_revision):
        return rows
    if result.outcome is not RollbackOutcome.DONE:
        return [*rows, ("After the run", result.from_revision, f"rollback {result.outcome}")]
    shares = [value for value in result.checks if "traffic" in value.name.lower() or "serving" in value.name.lower()]
    traffic = value_text(shares[-1]) if shares else "moved; not measured since"
    return [*rows, ("After the rollback", result.to_revision, traffic)]


def release_lists(record: RunRecord) -> list[tuple[str, str, list[str]]]:
    """The release's commits and migrations, as the criterion on the changelog lists them: label, count, items."""
    return [
        (label, show(value.value), [item.strip() for item in re.split(r"; |\n", value.note) if item.strip()])
        for value in _values(record, "changelog_covers_release")
        if (label := _RELEASE.get(value.name))
    ]


def not_asked(record: RunRecord) -> dict[str, list[str]]:
    """Which criteria of these phases the run did not ask, by the reason."""
    reasons: dict[str, list[str]] = {}
    for name, section in record.not_configured.items():
        reasons.setdefault(f"Not configured: [{section}] is missing in deployment.toml", []).append(name)
    for name, why in record.not_asked.items():
        reasons.setdefault(why[:1].upper() + why[1:], []).append(name)
    return reasons


def worst_first(record: RunRecord) -> list[CriterionResult]:
    """The criteria in the order of the table: fail, inconclusive, pass."""
    return sorted(record.criteria, key=lambda result: WORST_FIRST.index(result.verdict))


def phase_rank(phase: str) -> int:
    """Where a phase stands among the phases; last for an unknown one."""
    return PHASES.index(phase) if phase in PHASES else len(PHASES)


def by_origin(measurements: Iterable[Measurement]) -> list[list[Measurement]]:
    """The values, those beside each other together that have in common where they come from."""
    grouped = groupby(measurements, lambda value: (origin(value), value.note, value.logs))
    return [list(alike) for _, alike in grouped]


def origin(measurement: Measurement) -> str:
    """Where a value comes from: `Cloud Logging · 9120 samples over 15m · 10:15:00 UTC`."""
    many = f"{measurement.samples} samples" if measurement.samples is not None else ""
    window = f"over {duration_text(measurement.window_s)}" if measurement.window_s is not None else ""
    parts = (measurement.source, f"{many} {window}".strip(), f"{clock(measurement.observed_at)} UTC")
    return " · ".join(part for part in parts if part)


def file_names(measurement: Measurement) -> list[str]:
    """The files beside the report that the value was read from."""
    return [Path(log).name for log in measurement.logs]


def draw(series: Series) -> Markup | str:
    """The series as a chart; in words, which are no markup, why it cannot be drawn: that costs no page."""
    from markupsafe import Markup

    try:
        return Markup(chart(series))  # noqa: S704  (a chart escapes its texts)
    except ValueError as error:
        return f"no chart: {error}"


def links(extras: Sequence[Mapping[str, object]]) -> list[tuple[str, str]]:
    """Address and label of pytest-html's links that lead to a page: a `javascript:` address would run."""
    return [
        (str(extra["content"]), str(extra["name"] or "link"))
        for extra in extras
        if extra["format_type"] == "url" and str(extra["content"]).startswith(("https://", "http://"))
    ]


def _values(record: RunRecord, criterion: str) -> list[Measurement]:
    return [value for result in record.criteria if result.id == criterion for value in result.measurements]


FOR_PAGES = (
    *(since, by_cause, revision_rows, release_lists, not_asked, worst_first, phase_rank),
    *(by_origin, origin, file_names, draw),
)
