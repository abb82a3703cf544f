"""The run in a few lines: Markdown for a ticket or a CI summary, and the last lines of the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reports.banner import (
    SYMBOLS,
    VERDICT_SYMBOLS,
    Banner,
    RemedyStep,
    facts,
    headline,
    next_steps,
    not_passed,
    notices,
    rollback_sentence,
    steps,
    tally,
    value_text,
)
from reports.text import one_line, plain
from reports.why import STANDING_SYMBOLS, why_heading
from verification.records.run_record import CriterionResult, EvidencePoint, RunRecord

_MAX_REASON = 400
# Whatever starts markup, HTML, a table cell, mathematics, a link (`https://`, `www.`), or, at the beginning, a list.
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~#!$]|:(?=//)|(?<=www)\.|^[-+=]", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
# GitHub looks for these once Markdown is done: no escape of Markdown's keeps it from calling people or linking issues.
_MENTION = re.compile(r"(@|#|GH)(?=\\?[\w-])")


def markdown(record: RunRecord) -> str:
    """The run in GitHub-flavoured Markdown: verdict first; text from outside stays text, whatever it holds."""
    head = headline(record)
    parts = [f"# {SYMBOLS[head.banner]} {head.word}: {_prose(head.sentence)}", _prose(tally(record)) + "."]
    parts += [f"> **Note:** {_prose(notice)}" for notice in notices(record)]
    if sentence := rollback_sentence(record):
        parts += ["## Rollback", _prose(sentence), *_bullets("Triggered by", record.rollback.triggers)]
        parts += _bullets("People", record.called)
        parts += _bullets(
            "Checked afterwards", [f"{check.name}: {value_text(check)}" for check in record.rollback.checks]
        )
    if record.why:
        points = "\n".join(f"{number}. {_point(point)}" for number, point in enumerate(record.why, 1))
        parts += [f"## {why_heading(record)}", points]
    if todo := next_steps(record):
        parts += ["## What to do now", *map(_step, todo)]
    if trouble := not_passed(record):
        parts += ["## What did not pass", *map(_trouble, trouble)]
    parts += ["## Run", _table(["", ""], [[label, _prose(value)] for label, value in facts(record)])]
    if record.criteria:
        parts += ["## Criteria", _criteria(record)]
    return "\n\n".join(parts) + "\n"


def short(record: RunRecord) -> str:
    """Verdict, count and rollback in GitHub-flavoured Markdown: a few lines, however large the run."""
    head = headline(record)
    lines = [f"### {SYMBOLS[head.banner]} {head.word}: {_prose(head.sentence)}", f"{_prose(tally(record))}."]
    if sentence := rollback_sentence(record):
        lines.append(_prose(_cut(sentence)))
    return "\n\n".join(lines) + "\n"


def terminal(record: RunRecord, report: Path | None = None) -> list[tuple[str, dict[str, bool]]]:
    """The lines that matter at the end of a run, each with the markup for pytest's `terminalreporter.write_line`."""
    head = headline(record)
    colour = {Banner.GO: "green", Banner.UNKNOWN: "yellow"}.get(head.banner, "red")
    lines: list[tuple[str, dict[str, bool]]] = [
        (f"{SYMBOLS[head.banner]} {head.word}: {one_line(head.sentence)}", {"bold": True, colour: True}),
        (one_line(tally(record)), {}),
    ]
    for result in not_passed(record):
        lines.append((f"  {VERDICT_SYMBOLS[result.verdict]} {_cut(result.id)}: {_cut(_cause(result))}", {colour: True}))
        lines += [(f"      {one_line(step.text)}", {"bold": step.is_command}) for step in steps(result.hint)]
    if sentence := rollback_sentence(record):
        lines.append((f"Rollback: {one_line(sentence)}", {colour: True}))
        lines += [(f"    {one_line(name)}", {}) for name in record.called]
    lines += [(f"Note: {one_line(notice)}", {"yellow": True}) for notice in notices(record)]
    if todo := next_steps(record):
        lines.append(("What to do now:", {"bold": True}))
        lines += [(f"    {one_line(step.text)}", {"bold": step.is_command}) for step in todo]
    if report is not None:
        lines.append((f"Report: {one_line(report)}", {}))
    return lines


def _point(point: EvidencePoint) -> str:
    lines = [f"{_prose(known.label)}: {_prose(_cut(known.text))}" for known in point.evidence]
    if point.reason:
        by = f"Guard {_code(point.guard)}: " if point.guard else ""
        lines += [f"{by}{_prose(_cut(point.reason))}", *map(_inline_step, steps(point.next_step))]
    standing = f"**{_prose(point.claim)}**: {STANDING_SYMBOLS[point.standing]} {point.standing}"
    return "\n   - ".join([standing, *lines])


def _trouble(result: CriterionResult) -> str:
    symbol = VERDICT_SYMBOLS[result.verdict]
    lines = [f"- {symbol} **{_prose(result.title or result.id)}** {_code(result.id)}: {_code(_cut(_cause(result)))}"]
    lines += [f"  - {_inline_step(step)}" for step in steps(result.hint)]
    return "\n".join(lines)


def _criteria(record: RunRecord) -> str:
    rows = [
        [
            f"{VERDICT_SYMBOLS[result.verdict]} {result.verdict}",
            f"{_prose(result.title or result.id)} ({_prose(result.id)})",
            _prose(result.phase),
            "<br>".join(f"{_prose(value.name)}: {_prose(value_text(value))}" for value in result.measurements),
            f"{result.seconds:.1f}",
        ]
        for result in record.criteria
    ]
    return _table(["Verdict", "Criterion", "Phase", "Measured", "Seconds"], rows)


def _bullets(label: str, texts: Sequence[str]) -> list[str]:
    return ["\n".join([f"{label}:", "", *(f"- {_code(text)}" for text in texts)])] if texts else []


def _step(step: RemedyStep) -> str:
    if not step.is_command:
        return _prose(step.text)
    text = one_line(step.text)
    fence = _fence(text, 3)
    return f"{fence}sh\n{text}\n{fence}"


def _inline_step(step: RemedyStep) -> str:
    return _code(step.text) if step.is_command else _prose(step.text)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _prose(text: str) -> str:
    """Text from anywhere as Markdown that renders as itself: no markup, no HTML, no links, no mentions."""
    escaped = _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", one_line(text)))
    return _MENTION.sub("\\1\N{ZERO WIDTH SPACE}", escaped)


def _code(text: str) -> str:
    """Text from anywhere as a code span; not for a table, where a bar would end the cell and the span with it."""
    line = one_line(text)
    fence = _fence(line, 1)
    return (f"{fence} {line} {fence}" if "`" in line else f"`{line}`") if line else ""


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _cause(result: CriterionResult) -> str:
    return plain(result.reason).strip().split("\n")[0] or "no reason was given"


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _MAX_REASON else line[:_MAX_REASON] + "…"
