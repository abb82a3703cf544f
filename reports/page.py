"""The run's page: whole, for the hooks of pytest-html, and as a page of its own for tickets and killed runs.

The templates beside this module write all of it. Whatever they show goes through `shown`, which hides secrets and
escapes; pytest-html puts cells, environment values and the banner into its page as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports import banner, page_sections
from reports.checklist import fill
from reports.text import clock, plain
from reports.why import STANDING_SYMBOLS, why_heading
from verification.records.run_record import CriterionResult, RunRecord
from verification.verdict import show

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).with_name("templates")


def page_title(record: RunRecord) -> str:
    """The page's title, as plain text: pytest-html escapes it. It holds the verdict once the run has finished."""
    what = f"{record.service or 'Deployment'}, {record.environment}: {', '.join(record.phases) or 'verification'}"
    return plain(what if record.finished is None else f"{banner.headline(record).word} · {what}")


def environment_table(metadata: Mapping[str, object]) -> dict[str, str]:
    """What of pytest-metadata's table helps to read a report, escaped.

    The rest goes: it holds a CI job's variables, such as a branch name that a stranger chose, and nobody escapes it.
    """
    return {name: shown(metadata[name]) for name in ("Python", "Platform") if name in metadata}


def table_header(cells: list[str]) -> None:
    """Replace pytest-html's columns by ours (`pytest_html_results_table_header`)."""
    cells[:] = _render("table_header.html.j2", sortable=True).splitlines()


def table_row(report: pytest.TestReport, result: CriterionResult | None, cells: list[str]) -> None:
    """Replace pytest-html's cells by the criterion's (`pytest_html_results_table_row`).

    `result` is None for a test that is not a criterion, and for a file that could not be collected.
    """
    torn_down = report.when == "teardown"
    row = _render(
        "table_row.html.j2",
        sortable=True,
        result=None if torn_down and report.failed else result,
        links=page_sections.links(getattr(report, "extras", [])),
        name=f"{report.nodeid}::{report.when}",
        outcome=report.outcome,
        remark="It could not clean up after itself." if torn_down else "It is not a criterion.",
        seconds=getattr(report, "duration", 0.0),  # the report of a failed collection has none
    )
    # pytest-html finds a cell's text only where it stands on one line; `shown` leaves no line break in a value.
    cells[:] = [cells[0].replace("<td ", "<td hidden ", 1), *row.replace("\n", "").split("<!--cell-->")]


def banner_html(record: RunRecord) -> str:
    """The page above its table, with its style (`prefix` of `pytest_html_results_summary`)."""
    return _render("banner.html.j2", record=record)


def full_page(record: RunRecord) -> str:
    """A page of its own, without pytest-html: of several runs, or of one that was killed."""
    return _render("page.html.j2", record=record)


def finish_page(written: str) -> str:
    """pytest-html's page made usable without a mouse and by screen readers: language, landmarks, keys, labels."""
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    for old, new in (
        ("<html>", '<html lang="en">'),
        ("</title>", f"</title>{_render('head.html.j2')}"),
        ("<body>", "<body><main>"),
        ("<footer>", "</main><footer hidden>"),
        ('<img src="" />', '<img src="" alt="">'),
        ('<table id="results-table">', '<table id="results-table" aria-labelledby="criteria-heading">'),
        ("</body>", f"<script>{script}</script></body>"),
    ):
        written = written.replace(old, new, 1)
    return written


def shown(value: object) -> Markup:
    """`value` as a page shows it, whatever it holds: without secrets, escaped, on one line of the source.

    Markup stays as it is: only templates and charts make any.
    """
    from markupsafe import Markup, escape

    if isinstance(value, Markup):
        return value
    return Markup(str(escape(plain(value))).replace("\n", "&#10;"))  # noqa: S704  (escaped in this line)


def _render(template: str, **values: object) -> str:
    """The template filled in, without its indentation: a line break is the template's own, see `shown`."""
    return re.sub(r"\n\s+", "\n", templates().get_template(template).render(values))


@cache
def templates() -> Environment:
    """The templates beside this module, which are compiled when they are used first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        loader=FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = (page_title, show, fill, clock, why_heading, *banner.FOR_PAGES, *page_sections.FOR_PAGES)
    environment.globals |= {function.__name__: function for function in named}
    environment.globals |= {"SYMBOLS": banner.SYMBOLS, "VERDICT_SYMBOLS": banner.VERDICT_SYMBOLS}
    environment.globals |= {"STANDING_SYMBOLS": STANDING_SYMBOLS}
    environment.globals |= {"sortable": False, "links": ()}  # what pytest-html's table alone has
    return environment
