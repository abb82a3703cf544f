"""A changelog in Markdown (https://keepachangelog.com or near it): its entries, and whether one tells of a commit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from verification.source_tree.checkout import Commit

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(.*)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BREAKING = re.compile(r"\b(breaking|incompatible)\b", re.IGNORECASE)
_BREAKING_ENTRY = re.compile(r"\W*(breaking|incompatible)\b(?:\s+changes?)?\W*", re.IGNORECASE)
_NOT_BREAKING = re.compile(r"\b(no|non|not|none|without)\b|\bbackwards?[- ]compatible\b", re.IGNORECASE)
_NUMBER = re.compile(r"#(\d+)\b")
_SHA = re.compile(r"\b[0-9a-f]{7,40}\b")
_WORD = re.compile(r"[^\W_]{3,}")
# They say that something was done, not what.
_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        "the and for with from into that this when not now its are was has have all can "
        "add added adds new fix fixed fixes change changed changes update updated updates remove removed removes "
        "improve improved make made use used uses support allow allowed",
    )
)
_ENOUGH = 0.5  # of a commit's words in one entry: people reword


@dataclass(frozen=True, slots=True)
class ChangelogEntry:
    """A list item or paragraph, and the heading right above it."""

    heading: str
    text: str

    @property
    def breaking(self) -> bool:
        """Whether it stands under a heading for breaking changes, or begins with that word."""
        if _BREAKING.search(self.heading) and not _NOT_BREAKING.search(self.heading):
            return not _NOT_BREAKING.match(self.text)  # "None." says that the heading is empty
        return _BREAKING_ENTRY.match(self.text) is not None

    def tells_of(self, commit: Commit) -> bool:
        """Whether it names the commit or its pull request, or says what its subject says."""
        if any(commit.sha.startswith(sha) for sha in _SHA.findall(self.text)):
            return True
        if set(_NUMBER.findall(self.text)) & set(_NUMBER.findall(commit.subject)):
            return True
        wanted = _words(commit.description)
        shared = wanted & _words(self.text)
        return len(shared) >= min(2, len(wanted)) and len(shared) >= _ENOUGH * len(wanted) > 0


def entries(text: str) -> tuple[ChangelogEntry, ...]:
    """The entries of a changelog, in its order; code blocks and comments are none."""
    found: list[ChangelogEntry] = []
    heading, lines, fenced = "", list[str](), False
    for line in [*_COMMENT.sub("", text).splitlines(), ""]:
        if _FENCE.match(line):
            fenced = not fenced
            continue
        if fenced:
            continue
        above, item = _HEADING.match(line), _ITEM.match(line)
        if lines and (above or item or not line.strip()):
            found.append(ChangelogEntry(heading, " ".join(lines)))
            lines = []
        if above:
            heading = above[2]
        elif line.strip():
            lines.append(item[1] if item else line.strip())
    return tuple(found)


def new_entries(before: str, after: str) -> tuple[ChangelogEntry, ...]:
    """The entries of `after` that `before` has not; one that only moved below a version's heading is not new."""
    known = Counter(_normal(entry.text) for entry in entries(before))
    found = []
    for entry in entries(after):
        if known[_normal(entry.text)] > 0:
            known[_normal(entry.text)] -= 1
        else:
            found.append(entry)
    return tuple(found)


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()


def _words(text: str) -> frozenset[str]:
    words = (word.casefold() for word in _WORD.findall(_NUMBER.sub("", text)))
    return frozenset(_stem(word) for word in words if word not in _EMPTY_WORDS)


def _stem(word: str) -> str:
    """The word's stem, near enough to hold "subtitle" and "subtitles", "load" and "loading" for the same word."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e")
