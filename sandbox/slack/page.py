"""The channels as an HTML page for people: authors, times, threads."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sandbox.slack.model import EMOJI, WORKSPACE, stored

if TYPE_CHECKING:
    from sandbox.slack.model import SlackChannel, SlackMessage, Workspace
    from sandbox.vendor_api import Json

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d1c1d }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; border-bottom: 1px solid #ddd; padding-bottom: .3rem }
nav a { margin-right: 1rem } article { margin: .8rem 0 } .thread { margin-left: 2rem; padding-left: 1rem;
border-left: 3px solid #ddd } header { font-weight: 600 } time, small { color: #616061; font-weight: 400 }
p, h3, ul { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere } h3 { font-size: 1rem }
mark { background: #fbf3b8 } code { background: #f4f4f4; border: 1px solid #ddd; border-radius: 3px; padding: 0 .2em }
"""
_ANGLE = re.compile(r"<([^<>]*)>")
_NAMED = {name: emoji for emoji, name in EMOJI.items()}


def page(workspace: Workspace) -> str:
    """The whole page, as HTML; channels in which nobody wrote are left out."""
    channels = [channel for channel in workspace.channels.values() if channel.messages]
    channels.sort(key=lambda channel: channel.messages[-1].ts, reverse=True)
    links = " ".join(f'<a href="#{channel.id}">#{html.escape(channel.name)}</a>' for channel in channels)
    sections = "\n".join(_channel(channel) for channel in channels)
    title = f"Channels of {html.escape(WORKSPACE)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<nav>{links}</nav>\n{sections}\n</body></html>\n"
    )


def _channel(channel: SlackChannel) -> str:
    lines = [f'<section><h2 id="{channel.id}">#{html.escape(channel.name)}</h2>']
    for message in channel.messages:
        if not message.is_reply:
            lines.append(_article(message))
            if replies := channel.replies(message):
                lines.append(f'<div class="thread">{"".join(map(_article, replies))}</div>')
    return "\n".join([*lines, "</section>"])


def _article(message: SlackMessage) -> str:
    app = " <small>app</small>" if message.author.bot_id else ""
    edited = " <small>(edited)</small>" if message.edited_ts else ""
    at = message.at.replace(microsecond=0)
    header = (
        f"<header>{html.escape(message.author.name)}{app} "
        f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S} UTC</time>{edited}</header>'
    )
    body = "".join(map(_block, message.blocks)) if message.blocks else f"<p>{_markup(message.text)}</p>"
    return f"<article>{header}{body}</article>"


def _block(block: Json) -> str:
    if not isinstance(block, dict):
        return ""
    match block.get("type"):
        case "header":
            return f"<h3>{_text(block.get('text'))}</h3>"
        case "divider":
            return "<hr>"
        case "section":
            fields = "".join(f"<li>{_text(field)}</li>" for field in _items(block.get("fields")))
            return f"<p>{_text(block.get('text'))}</p>" + (f"<ul>{fields}</ul>" if fields else "")
        case "context":
            return f"<p><small>{' '.join(map(_text, _items(block.get('elements'))))}</small></p>"
        case kind:
            return f"<p><small>[{html.escape(str(kind))}]</small></p>"


def _items(value: Json) -> Iterable[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
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
