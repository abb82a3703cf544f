"""The channels as an HTML page for people: authors, times, threads."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.slack.model import EMOJI, WORKSPACE, stored

if TYPE_CHECKING:
    from sandbox.slack.model import Workspace

_ANGLE = re.compile(r"<([^<>]*)>")
_NAMED = {name: emoji for emoji, name in EMOJI.items()}


def page(workspace: Workspace) -> str:
    """The whole page, as HTML; channels in which nobody wrote are left out."""
    from jinja2 import Environment, FileSystemLoader  # for who looks at the page, and slow to import

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.filters |= {"markup": _markup, "text": _text}
    channels = [channel for channel in workspace.channels.values() if channel.messages]
    channels.sort(key=lambda channel: channel.messages[-1].ts, reverse=True)
    return environment.get_template("page.html.j2").render(workspace=WORKSPACE, channels=channels)


def _text(value: object) -> str:
    """A text object of a block as HTML; empty for anything else."""
    if not isinstance(value, dict) or not isinstance(text := value.get("text"), str):
        return ""
    return _markup(stored(text)) if value.get("type") == "mrkdwn" else html.escape(_emoji(text))


def _markup(text: str) -> str:
    """Stored text as HTML: nothing in it but what Slack knows as markup has an effect."""
    parts = _ANGLE.split(text)  # text, link or mention, text, ...
    return "".join(_link(part) if place % 2 else _plain(part) for place, part in enumerate(parts))


def _plain(text: str) -> str:
    shown = html.escape(_emoji(html.unescape(text)))
    shown = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", shown)
    return re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"<strong>\1</strong>", shown)


def _link(inside: str) -> str:
    target, _, label = inside.partition("|")
    target, label = html.unescape(target), html.unescape(label)
    if target.startswith(("http://", "https://", "mailto:")):
        return f'<a href="{html.escape(target)}" rel="noreferrer">{html.escape(label or target)}</a>'
    sign = "#" if target.startswith("#") else "@"
    return f"<mark>{sign}{html.escape((label or target[1:]).removeprefix('@'))}</mark>"


def _emoji(text: str) -> str:
    for name, emoji in _NAMED.items():
        text = text.replace(name, emoji)
    return text
