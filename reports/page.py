"""What the run's page says, for the hooks of pytest-html: a banner that cannot be missed, a row for each criterion.

pytest-html puts cells, environment values and the banner into the page as they are. Hence everything that was not
written in this module goes through `_text`, which hides secrets and escapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import pytest

from reports.banner import (
    SYMBOLS,
    VERDICT_SYMBOLS,
    counted,
    facts,
    headline,
    limit_text,
    measured,
    next_steps,
    notices,
    rollback_sentence,
    rollback_state,
    steps,
    tally,
    troubled,
)
from reports.charts.chart import chart
from reports.markup import anchor as _anchor
from reports.markup import badge as _badge
from reports.markup import inline_list as _inline_list
from reports.markup import steps_list as _steps
from reports.markup import text as _text
from reports.page_sections import sections
from reports.text import plain
from verification.records.run_record import PHASES, CriterionResult, RunRecord
from verification.series import Series
from verification.settings.units import duration_text
from verification.verdict import Measurement, Verdict, show

_CSS = Path(__file__).with_name("report.css")
_SCRIPT = Path(__file__).with_name("report.js")
# Nothing leaves the page, whatever gets into it; and a phone would show it in the width of a desk otherwise.
_HEAD = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)

# pytest-html sorts by the text between a column's first <td> and </td>, and filters and colours by the one of "result",
# which must be pytest's own word. Columns that show something else carry that text in a hidden cell of their own.
_HEADER = (
    '<th hidden class="sortable" data-column-type="result">Outcome</th>',
    '<th scope="col" tabindex="0" class="sortable" data-column-type="verdict">Verdict</th>',
    '<th scope="col" tabindex="0" class="sortable" data-column-type="testId">Criterion</th>',
    '<th scope="col" tabindex="0" class="sortable" data-column-type="phase">Phase</th>',
    '<th scope="col">Measured</th>',
    '<th scope="col">Why, and what helps</th>',
    '<th scope="col" tabindex="0" class="sortable" data-column-type="duration">Seconds</th>',
)


def page_title(record: RunRecord) -> str:
    """The page's title, as plain text: pytest-html escapes it. It holds the verdict once the run has finished."""
    what = f"{record.service or 'Deployment'}, {record.environment}: {', '.join(record.phases) or 'verification'}"
    return plain(what if record.finished is None else f"{headline(record).word} · {what}")


def environment_table(metadata: Mapping[str, object]) -> dict[str, str]:
    """What of pytest-metadata's table helps to read a report, escaped.

    The rest goes: it holds a CI job's variables, such as a branch name that a stranger chose, and nobody escapes it.
    """
    return {name: _text(metadata[name]) for name in ("Python", "Platform") if name in metadata}


def table_header(cells: list[str]) -> None:
    """Replace pytest-html's columns by ours (`pytest_html_results_table_header`)."""
    cells[:] = _HEADER


def table_row(report: pytest.TestReport, result: CriterionResult | None, cells: list[str]) -> None:
    """Replace pytest-html's cells by the criterion's (`pytest_html_results_table_row`).

    `result` is None for a test that is not a criterion, and for a file that could not be collected.
    """
    outcome = cells[0].replace("<td ", "<td hidden ", 1)
    if result is None or (report.when == "teardown" and report.failed):
        cells[:] = [outcome, *_other_cells(report)]
    else:
        verdict, *others = _criterion_cells(result, _links(report))
        # It opens the log, so it can be reached by key.
        cells[:] = [outcome, verdict.replace("<td ", '<td tabindex="0" ', 1), *others]


def banner_html(record: RunRecord) -> str:
    """The page above its table, as HTML with its style (`prefix` of `pytest_html_results_summary`)."""
    head = headline(record)
    parts = [
        f"<style>{_CSS.read_text(encoding='utf-8')}</style>",
        f'<section class="banner banner-{head.mood}" aria-labelledby="banner-word">',
        '<div class="hero">',
        f'<span class="hero-symbol" aria-hidden="true">{SYMBOLS[head.mood]}</span>',
        f'<div><h2 id="banner-word">{head.word}</h2><p class="hero-sentence">{_text(head.sentence)}</p>',
        f'<p class="hero-where">{_where(record)}</p></div></div>',
        _columns(f"{_todo(record)}{_rollback(record)}{_notices(record)}", _trouble(record)),
        _facts(record),
        "</section>",
        sections(record),
        '<h2 id="criteria-heading">Every criterion</h2>' if record.criteria else "",
        _filters(record),
        _without_script(record),
    ]
    return "\n".join(part for part in parts if part)


def banner_page(record: RunRecord) -> str:
    """A page with nothing but the banner: what a run leaves behind that was killed before pytest-html could write."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{_HEAD}'
        f"<title>{_text(page_title(record))}</title></head>\n"
        f"<body><main><h1>{_text(page_title(record))}</h1>\n{banner_html(record)}\n</main></body></html>\n"
    )


def finish_page(written: str) -> str:
    """pytest-html's page made usable without a mouse and by screen readers: language, landmarks, keys, labels."""
    script = _SCRIPT.read_text(encoding="utf-8")
    for old, new in (
        ("<html>", '<html lang="en">'),
        ("</title>", f"</title>{_HEAD}"),
        ("<body>", "<body><main>"),
        ("<footer>", "</main><footer hidden>"),
        ('<img src="" />', '<img src="" alt="">'),
        ('<table id="results-table">', '<table id="results-table" aria-labelledby="criteria-heading">'),
        ("</body>", f"<script>{script}</script></body>"),
    ):
        written = written.replace(old, new, 1)
    return written


def _where(record: RunRecord) -> str:
    place = " · ".join(_text(one) for one in (record.service, record.environment, ", ".join(record.phases)) if one)
    dry_run = '<strong class="chip">DRY RUN</strong> ' if record.dry_run else ""
    return f"{dry_run}{place} · {_text(tally(record))}"


def _columns(*columns: str) -> str:
    listed = "".join(f'<div class="column">{one}</div>' for one in columns if one)
    return f'<div class="columns">{listed}</div>' if listed else ""


def _todo(record: RunRecord) -> str:
    todo = next_steps(record)
    return f'<div class="panel todo"><h3>What to do now</h3>{_steps(todo)}</div>' if todo else ""


def _rollback(record: RunRecord) -> str:
    sentence = rollback_sentence(record)
    if not sentence:
        return ""
    result = record.rollback
    listed = _inline_list("Triggered by", (_anchor(one) for one in result.triggers))
    checks = _inline_list(
        "Checked afterwards",
        (f"{_text(one.name)}: {_text(measured(one))} <small>{_text(one.source)}</small>" for one in result.checks),
    )
    called = _inline_list("People", map(_text, record.called))
    title = f"Rollback: {rollback_state(record)}"
    return f'<div class="panel"><h3>{title}</h3><p>{_text(sentence)}</p>{listed}{called}{checks}</div>'


def _trouble(record: RunRecord) -> str:
    """What did not pass; criteria that one cause keeps from an answer are told of together."""
    causes: dict[tuple[str, str, str], list[CriterionResult]] = {}
    for one in troubled(record):
        causes.setdefault((one.verdict, one.reason, one.hint), []).append(one)
    items = [
        f'<li class="trouble trouble-{alike[0].verdict}">{_badge(alike[0].verdict)} {_named(alike)}'
        f'<p class="reason">{_text(reason or "No reason was given.")}</p>{_steps(steps(hint))}</li>'
        for (_, reason, hint), alike in causes.items()
    ]
    listed = f'<ul class="troubles">{"".join(items)}</ul>'
    return f'<div class="panel"><h3>What did not pass</h3>{listed}</div>' if items else ""


def _named(alike: list[CriterionResult]) -> str:
    if len(alike) <= 2:
        return ", ".join(f"<strong>{_anchor(one.id, one.title)}</strong>" for one in alike)
    return f"<strong>{len(alike)} criteria:</strong> {', '.join(_anchor(one.id) for one in alike)}"


def _notices(record: RunRecord) -> str:
    items = "".join(f"<li>{_text(one)}</li>" for one in notices(record))
    return f'<div class="panel notices"><h3>Before you rely on this</h3><ul>{items}</ul></div>' if items else ""


def _facts(record: RunRecord) -> str:
    rows = "".join(f"<div><dt>{label}</dt><dd>{_text(value)}</dd></div>" for label, value in facts(record))
    return f'<dl class="facts">{rows}</dl>'


def _filters(record: RunRecord) -> str:
    """Check boxes that hide rows by verdict, by style alone; pytest-html's own filter knows only pytest's words."""
    boxes = "".join(
        f'<label><input type="checkbox" checked class="show-{verdict}"> '
        f"{VERDICT_SYMBOLS[verdict]} {count} {verdict}</label>"
        for verdict, count in counted(record).items()
        if count
    )
    return f'<fieldset class="verdict-filters"><legend>Show criteria</legend>{boxes}</fieldset>' if boxes else ""


def _without_script(record: RunRecord) -> str:
    """The verdicts for a reader that runs no script, such as a mail preview: pytest-html draws its table with one."""
    items = "".join(f"<li>{_badge(one.verdict)} {_text(one.title)} ({_text(one.id)})</li>" for one in record.criteria)
    return f"<noscript><ul>{items}</ul></noscript>" if items else ""


def ticket_page(record: RunRecord) -> str:
    """One page of its own for `record`, such as that of several runs: without pytest-html, and without a script."""
    rows = "".join(
        f'<tbody class="results-table-row" id="{_text(one.id)}"><tr class="collapsible">'
        f"{''.join(_criterion_cells(one, ''))}</tr></tbody>"
        for one in sorted(record.criteria, key=lambda one: list(counted(record)).index(one.verdict))
    )
    head = "".join(_HEADER[1:]).replace(' tabindex="0"', "").replace(' class="sortable"', "")
    table = f'<table id="results-table" aria-labelledby="criteria-heading"><thead><tr>{head}</tr></thead>{rows}</table>'
    above = banner_page(record).removesuffix("</main></body></html>\n")
    return f'{above}<div class="ticket">{table}</div></main></body></html>\n'


def _criterion_cells(result: CriterionResult, links: str) -> list[str]:
    position = PHASES.index(result.phase) if result.phase in PHASES else len(PHASES)
    measurements = "".join(
        f"<li>{'<br>'.join(map(_value, group))}{origin}</li>" for origin, group in groupby(result.measurements, _origin)
    )
    measured_list = f"<ul>{measurements}</ul>" if measurements else "nothing"
    charts = "".join(_chart(one.series, result.verdict) for one in result.measurements if one.series)
    reason = f'<p class="reason">{_text(result.reason)}</p>' if result.reason else ""
    criterion = f"<strong>{_text(result.title or result.id)}</strong><code>{_text(result.id)}</code>"
    return [
        f'<td class="col-verdict">{_badge(result.verdict)}</td>',
        f'<td hidden class="col-testId">{_text(result.id)}</td><td class="criterion">{criterion}</td>',
        f'<td hidden class="col-phase">{position}</td><td class="phase" data-label="Phase">{_text(result.phase)}</td>',
        f'<td class="measured" data-label="Measured">{measured_list}{charts}</td>',
        f'<td class="why" data-label="Why">{reason}{_steps(steps(result.hint))}{links}</td>',
        _seconds_cell(result.seconds),
    ]


def _other_cells(report: pytest.TestReport) -> list[str]:
    name = _text(f"{report.nodeid}::{report.when}")
    what = "It could not clean up after itself." if report.when == "teardown" else "It is not a criterion."
    return [
        f'<td class="col-verdict" tabindex="0"><span class="verdict verdict-other">· {report.outcome}</span></td>',
        f'<td hidden class="col-testId">{name}</td><td class="criterion"><code>{name}</code></td>',
        f'<td hidden class="col-phase">{len(PHASES)}</td><td></td>',
        "<td></td>",
        f'<td class="why" data-label="Why">{what} See its log.</td>',
        _seconds_cell(getattr(report, "duration", 0.0)),  # the report of a failed collection has none
    ]


def _seconds_cell(seconds: float) -> str:
    # pytest-html sorts this column by a whole number of milliseconds.
    hidden = f'<td hidden class="col-duration">{seconds * 1000:.0f} ms</td>'
    return f'{hidden}<td class="seconds" data-label="Seconds">{seconds:.1f}</td>'


def _value(measurement: Measurement) -> str:
    limit = f' <span class="limit">{_text(limit_text(measurement))}</span>' if measurement.rule else ""
    return f"{_text(measurement.name)}: <strong>{_text(show(measurement.value, measurement.unit))}</strong>{limit}"


def _origin(measurement: Measurement) -> str:
    """Where a value comes from: said once for values that stand together and have it in common."""
    many = f"{measurement.samples} samples" if measurement.samples is not None else ""
    window = f"over {duration_text(measurement.window_s)}" if measurement.window_s is not None else ""
    seen = f"{measurement.observed_at.astimezone(UTC):%H:%M:%S} UTC"
    meta = " · ".join(_text(one) for one in (measurement.source, f"{many} {window}".strip(), seen) if one)
    note = f'<span class="note">{_text(measurement.note)}</span>' if measurement.note else ""
    return f'<span class="meta">{meta}</span>{note}{_logs(measurement)}'


def _chart(series: Series, verdict: Verdict) -> str:
    """How a value came about, open at once where it was not good; a series that cannot be drawn costs no page."""
    try:
        drawn = chart(series)
    except ValueError as error:
        return f'<span class="note">no chart: {_text(error)}</span>'
    opened = "" if verdict is Verdict.PASS else " open"
    return f'<details class="chart-of"{opened}><summary>{_text(series.criterion)} over time</summary>{drawn}</details>'


def _logs(measurement: Measurement) -> str:
    """Links to the files beside the report; who gets the report alone still reads their names."""
    links = (f'<a href="{quote(Path(one).name)}">{_text(Path(one).name)}</a>' for one in measurement.logs)
    listed = ", ".join(links)
    return f'<span class="note">output: {listed}</span>' if listed else ""


def _links(report: pytest.TestReport) -> str:
    """The report's links, as far as they lead to a page: a `javascript:` address would run."""
    links = " ".join(
        f'<a href="{_text(extra["content"])}" target="_blank" rel="noopener">{_text(extra["name"] or "link")}</a>'
        for extra in getattr(report, "extras", [])
        if extra["format_type"] == "url" and str(extra["content"]).startswith(("https://", "http://"))
    )
    return f'<p class="links">{links}</p>' if links else ""
