"""What README and docs/ show to be copied: their fenced blocks, and the commands inside sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:pytest|python -m) [^`\n]+)`")
_BEFORE_A_PROGRAM = re.compile(r"^(?:\w+=\S*|timeout|-s|KILL|\d+)$")


@dataclass(frozen=True)
class Snippet:
    """A fenced block, and where it stands."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each command line, without what stands before the program, a comment, and `&`."""
        for line in self.text.splitlines():
            words = shlex.split(line, comments=True)
            while words and _BEFORE_A_PROGRAM.match(words[0]):
                del words[0]
            if words:
                yield words[:-1] if words[-1] == "&" else words


def snippets(*languages: str) -> list[Snippet]:
    """The fenced blocks in one of `languages`; in whatever language without."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for block in _FENCE.finditer(text):
            line = text.count("\n", 0, block.start()) + 1
            found.append(Snippet(document, line, block["language"], block["text"]))
    return [snippet for snippet in found if not languages or snippet.language in languages]


def commands_in_sentences() -> list[list[str]]:
    """The words of each command of ours inside a sentence."""
    texts = [_FENCE.sub("", document.read_text(encoding="utf-8")) for document in DOCUMENTS]
    return [shlex.split(command) for command in sorted({span for text in texts for span in _SPAN.findall(text)})]
