"""Pieces of markup that every part of the page uses; whatever was not written here goes through `text`."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from reports.banner import VERDICT_SYMBOLS, Step
from reports.text import plain
from verification.verdict import Verdict


def steps_list(listed: Iterable[Step]) -> str:
    """A remedy: its prose, and each command to paste."""
    return "".join(
        f'<pre class="command" tabindex="0"><code>{text(step.text)}</code></pre>'
        if step.is_command
        else f'<p class="step">{text(step.text)}</p>'
        for step in listed
    )


def badge(verdict: Verdict) -> str:
    """The verdict as symbol and word."""
    # The class comes first in the text that pytest-html sorts by: fail, inconclusive, pass.
    return f'<span class="verdict verdict-{verdict}">{VERDICT_SYMBOLS[verdict]} {verdict}</span>'


def anchor(criterion: str, words: str = "") -> str:
    """A link to the criterion's own row."""
    return f'<a href="#{text(criterion)}">{text(words or criterion)}</a>'


def inline_list(label: str, items: Iterable[str]) -> str:
    """Items of markup after a label; empty without any."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<div class="inline-list"><span>{label}:</span><ul>{listed}</ul></div>' if listed else ""


def text(words: object) -> str:
    """Text from anywhere, such that a page shows it and does nothing else with it."""
    # pytest-html finds the text of a cell only where it stands on one line; `&#10;` is a line break to a browser alone.
    return escape(plain(words), quote=True).replace("\n", "&#10;")
