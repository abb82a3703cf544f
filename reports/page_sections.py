"""The parts of the page below the banner: what happened when, revisions and traffic, the release, the checklist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from reports.banner import limit_text, measured, steps
from reports.checklist import Answer, FilledPart, FilledSection, State, fill
from reports.markup import anchor, badge, steps_list, text
from verification.records.run_record import CriterionResult, RollbackOutcome, RunRecord
from verification.verdict import Measurement, Verdict, show

_VERDICTS = {one.value for one in Verdict}
_ALONE = 3  # so many criteria at most are shown with their values in one line
_SHOWN = 6  # values of one criterion; its own row has all of them
_RELEASE = {"commits": "Commits", "migrations": "Migrations"}


def sections(record: RunRecord) -> str:
    """Everything between the banner and the table of criteria; empty for a run of which nothing is known."""
    if not record.criteria and not record.timeline:
        return ""
    aside = "".join((_revisions(record), _release(record), _not_asked(record)))
    story = "".join((_timeline(record), aside))
    top = f'<div class="story">{story}</div>' if story else ""
    return f"{top}{_checklist(record)}" if record.finished else top  # of a killed run, too little is known


def _timeline(record: RunRecord) -> str:
    """One line for each event, with the time since the run's start."""
    items = "".join(
        f'<li{_class(event.failed)}><time datetime="{event.at.isoformat()}">{_clock(event.at)}</time> '
        f'<span class="since">{_since(record.started, event.at)}</span> <span>{text(event.text)}</span></li>'
        for event in record.timeline
    )
    heading = '<h2 id="timeline-heading">Timeline</h2><p class="hint">Times are UTC.</p>'
    listed = f'<ol class="timeline">{items}</ol>'
    return f'<section class="panel" aria-labelledby="timeline-heading">{heading}{listed}</section>' if items else ""


def _revisions(record: RunRecord) -> str:
    """Who served before, during and after, and how that is known."""
    rows = [row for row in (_before(record), _during(record), _after(record)) if row]
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{when}</th><td><code>{text(who)}</code></td><td>{text(how)}</td></tr>'
        for when, who, how in rows
    )
    head = '<tr><th scope="col">When</th><th scope="col">Revision</th><th scope="col">Traffic</th></tr>'
    return _panel("revisions", "Revisions and traffic", f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")


def _before(record: RunRecord) -> tuple[str, str, str] | None:
    return ("Before", record.previous_revision, "served before") if record.previous_revision else None


def _during(record: RunRecord) -> tuple[str, str, str] | None:
    if not record.revision:
        return None
    shares = [one for one in _values(record, "serving_the_deployed_revision") if one.name.startswith("traffic of ")]
    return ("Deployed", record.revision, measured(shares[-1]) if shares else "not measured")


def _after(record: RunRecord) -> tuple[str, str, str] | None:
    result = record.rollback
    if result.outcome is RollbackOutcome.NOT_NEEDED or not (result.to_revision or result.from_revision):
        return None
    if result.outcome is not RollbackOutcome.DONE:
        return ("After the run", result.from_revision, f"rollback {result.outcome}")
    shares = [one for one in result.checks if "traffic" in one.name.lower() or "serving" in one.name.lower()]
    return ("After the rollback", result.to_revision, measured(shares[-1]) if shares else "moved; not measured since")


def _release(record: RunRecord) -> str:
    """The release's commits and migrations, as the criterion on the changelog lists them."""
    parts = []
    for one in _values(record, "changelog_covers_release"):
        if label := _RELEASE.get(one.name):
            items = "".join(f"<li>{text(item)}</li>" for item in _items(one.note))
            parts.append(f"<h3>{label}: {text(show(one.value))}</h3><ul>{items}</ul>")
    return _panel("release", "The release", "".join(parts)) if parts else ""


def _not_asked(record: RunRecord) -> str:
    """Which criteria of these phases the run did not ask, grouped by the reason."""
    reasons: dict[str, list[str]] = {}
    for name, section in record.not_configured.items():
        reasons.setdefault(f"Not configured: [{section}] is missing in deployment.toml", []).append(name)
    for name, why in record.not_asked.items():
        reasons.setdefault(why[:1].upper() + why[1:], []).append(name)
    items = "".join(
        f"<dt>{text(why)}</dt><dd>{', '.join(f'<code>{text(one)}</code>' for one in names)}</dd>"
        for why, names in reasons.items()
    )
    return _panel("not-asked", "Not asked in this run", f'<dl class="reasons">{items}</dl>') if items else ""


def _checklist(record: RunRecord) -> str:
    filled = "".join(_section(one) for one in fill(record))
    return (
        '<section class="checklist" aria-labelledby="checklist-heading"><h2 id="checklist-heading">Checklist</h2>'
        f"{filled}</section>"
    )


def _section(section: FilledSection) -> str:
    if not section.is_touched:
        persons = [one.text for part in section.parts for one in part.answers if one.state is State.PERSON]
        also = f" Needs a person: {text('; '.join(persons))}." if persons else ""
        return (
            f'<div class="untouched"><h3>{text(section.heading)}</h3>'
            f"<p>{text(_why_untouched(section))}.{also}</p></div>"
        )
    rows = "".join(_part(part) for part in section.parts)
    head = (
        '<tr><th scope="col">Verdict</th><th scope="col">Line</th><th scope="col">Measured, against its limit</th></tr>'
    )
    return (
        f'<h3>{text(section.heading)}</h3><table class="lines" aria-label="{text(section.heading)}">'
        f"<thead>{head}</thead>{rows}</table>"
    )


def _why_untouched(section: FilledSection) -> str:
    notes = dict.fromkeys(one.note for part in section.parts for one in part.answers if one.note)
    return "; ".join(notes).capitalize() or "Not part of this run"


def _part(part: FilledPart) -> str:
    heading = (
        f'<tr class="part"><th colspan="3" scope="rowgroup">{text(part.heading)}</th></tr>' if part.heading else ""
    )
    return f"<tbody>{heading}{''.join(map(_row, part.answers))}</tbody>"


def _row(answer: Answer) -> str:
    criteria = " ".join(anchor(one.id) for one in answer.results)
    note = f'<span class="note">{text(answer.note)}</span>' if answer.note else ""
    return (
        f'<tr class="line line-{answer.state.name.lower()}"><td class="state">{_state(answer.state)}</td>'
        f'<th scope="row">{text(answer.text)}<span class="ids">{criteria}</span></th>'
        f"<td>{_evidence(answer.results)}{_values_list(answer.values)}{note}</td></tr>"
    )


def _evidence(results: tuple[CriterionResult, ...]) -> str:
    """A line that sums up many criteria names those that did not pass: all have lines of their own."""
    if len(results) <= _ALONE:
        return "".join(map(_result, results))
    troubled = [one for one in results if one.verdict is not Verdict.PASS]
    items = "".join(f"<li>{badge(one.verdict)} {anchor(one.id)}</li>" for one in troubled)
    return f'<ul class="values">{items}</ul>' if items else f'<span class="limit">all {len(results)} pass</span>'


def _result(result: CriterionResult) -> str:
    held = [one for one in result.measurements if one.rule]
    reason = ""
    if result.verdict is not Verdict.PASS:
        reason = (
            f'<p class="reason reason-{result.verdict}">{text(result.reason or "No reason was given.")}</p>'
            f"{steps_list(steps(result.hint))}"
        )
    return f"{_values_list(held[:_SHOWN], more=len(held) - _SHOWN)}{reason}"


def _values_list(values: Iterable[Measurement], more: int = 0) -> str:
    items = [
        f"<li>{text(one.name)}: <strong>{text(show(one.value, one.unit))}</strong> "
        f'<span class="limit">{text(limit_text(one))}</span></li>'
        for one in values
    ]
    items += [f'<li class="limit">and {more} more</li>'] if more > 0 else []
    return f'<ul class="values">{"".join(items)}</ul>' if items else ""


def _state(state: State) -> str:
    if state.value in _VERDICTS:
        return badge(Verdict(state.value))
    symbol = "☐" if state is State.PERSON else "·"
    return f'<span class="verdict verdict-none">{symbol} {state}</span>'


def _values(record: RunRecord, criterion: str) -> list[Measurement]:
    return [each for one in record.criteria if one.id == criterion for each in one.measurements]


def _items(note: str) -> list[str]:
    return [item.strip() for item in re.split(r"; |\n", note) if item.strip()]


def _panel(name: str, heading: str, content: str) -> str:
    return (
        f'<section class="panel" aria-labelledby="{name}-heading"><h2 id="{name}-heading">{heading}</h2>'
        f'<div class="wide">{content}</div></section>'
    )


def _class(failed: bool) -> str:
    return ' class="bad"' if failed else ""


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S}"


def _since(start: datetime, at: datetime) -> str:
    seconds = (at - start).total_seconds()
    minutes, rest = divmod(seconds, 60)
    return f"+{minutes:.0f} min {rest:02.0f} s" if minutes else f"+{rest:.1f} s"
