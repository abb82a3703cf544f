"""Text for Slack: escaped, so that nothing in it fires a mention, and within Slack's limits."""

from __future__ import annotations

from collections.abc import Sequence

Block = dict[str, object]

_MOST_BLOCKS = 50
_MOST_IN_BLOCK = 3000
_MOST_IN_TEXT = 4000


def escape(text: str) -> str:
    """`text` as Slack shows it literally: `<!channel>` in it notifies nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def marked(text: str, key: str, *, escaped: bool = False) -> str:
    """`text`, escaped and cut, with the line by which a message is known as the one for `key`."""
    mark = f"\nref {escape(key)}"
    shown = text if escaped else _cut(text, _MOST_IN_TEXT - len(mark))
    return shown + mark


def blocks_of(sections: Sequence[str]) -> list[Block]:
    """One block for each section; what does not fit is left out, and the last block says so."""
    shown = [section for section in sections if section.strip()]
    left_out = len(shown) - _MOST_BLOCKS
    if left_out > 0:
        shown = [*shown[: _MOST_BLOCKS - 1], f"… and {left_out + 1} more"]
    # verbatim: nothing that looks like a name or an address becomes a mention or a link.
    texts = [{"type": "mrkdwn", "text": _cut(section, _MOST_IN_BLOCK), "verbatim": True} for section in shown]
    return [{"type": "section", "text": text} for text in texts]


def _cut(text: str, most: int) -> str:
    """`text`, escaped, at most `most` characters long, and never cut within an escape."""
    whole = escape(text)
    if len(whole) <= most:
        return whole
    kept = ""
    for character in map(escape, text):
        if len(kept) + len(character) >= most:
            break
        kept += character
    return kept + "…"
