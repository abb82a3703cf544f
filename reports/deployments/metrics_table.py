"""The checklist's "Deployment Metrics" as people and programs read them: a table by month with bars, and JSON."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from rich.table import Table
from rich.text import Text

from reports.deployments.log_table import JsonEntry
from reports.text import one_line
from verification.records.deployments import DeploymentOutcome
from verification.records.metrics import DeploymentMetric, Period

_BAR = 24
_BLOCKS = {
    DeploymentOutcome.GOOD: ("█", "green"),
    DeploymentOutcome.UNCLEAR: ("░", "yellow"),
    DeploymentOutcome.FAILED: ("▓", "red"),
}
_BLOCKS[DeploymentOutcome.ROLLED_BACK] = ("▒", "red")
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


class FigureEntry(JsonEntry):
    """One metric; `good` is null where it cannot be told."""

    name: str
    value: float | None
    unit: str
    target: str
    good: bool | None
    deployments: int = Field(validation_alias="samples")
    note: str


class PeriodEntry(JsonEntry):
    """The metrics of one stretch of time."""

    period: str = Field(validation_alias="name")
    deployments: int
    states: dict[DeploymentOutcome, int]
    too_few: str
    metrics: tuple[FigureEntry, ...] = Field(validation_alias="figures")


class MetricsFile(JsonEntry):
    """`python -m reports metrics --json`: for each environment all time, then month by month."""

    version: int = 1
    environments: dict[str, tuple[PeriodEntry, ...]]


def table(environment: str, overall: Period, months: Sequence[Period]) -> Table:
    """The checklist's table: a row for each metric; target, all time, then the newest months."""
    shown = Table(title=f"Deployment metrics of {one_line(environment)}", title_justify="left", title_style="bold")
    shown.add_column("Metric")
    shown.add_column("Target")
    for period in (overall, *reversed(months)):
        shown.add_column(period.name, justify="right")
    shown.add_column("Note")
    for number, figure in enumerate(overall.figures):
        cells = [_cell(period.figures[number]) for period in (overall, *reversed(months))]
        shown.add_row(figure.name.capitalize(), f"{figure.target} {figure.unit}", *cells, figure.note)
    return shown


def bars(months: Sequence[Period]) -> Text:
    """A bar for each month, as long as it has deployments, in the colours of what they came to; and the legend."""
    most = max((month.deployments for month in months), default=0)
    scale = min(1.0, _BAR / most) if most else 1.0
    chart = Text()
    for month in months:
        chart.append(f"{month.name}  ")
        for state, (block, colour) in _BLOCKS.items():
            count = month.states.get(state, 0)
            chart.append(block * (max(1, round(count * scale)) if count else 0), style=colour)
        chart.append(f" {month.deployments}\n")
    for state, (block, colour) in _BLOCKS.items():
        chart.append(f"{block} ", style=colour)
        chart.append(f"{state}   ")
    return chart


def _cell(figure: DeploymentMetric) -> Text:
    if figure.value is None:
        return Text("-", style="dim")
    mark, colour = _MARKS[figure.good]
    return Text(f"{figure.value:g} {figure.unit} {mark}", style=colour)
