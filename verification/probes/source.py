"""Probes of the source: whether the release is what lies in the checkout, and what must not be left in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath
from shlex import quote

from verification.errors import ObserverError, ServiceError
from verification.probe import probe
from verification.probes.health import given
from verification.settings.checkout import Code
from verification.source_tree.checkout import Checkout, Hit
from verification.verdict import Measurement

_SHOWN = 20


def listed(texts: Iterable[object], separator: str = "; ") -> str:
    """The first of `texts`, and how many more there are."""
    texts = list(texts)
    more = f"{separator}and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return separator.join(str(text) for text in islice(texts, _SHOWN)) + more


@dataclass(frozen=True, slots=True)
class PlaceholderScan:
    """Where words stand that finished code does not carry."""

    words: tuple[str, ...]
    where: str
    files: int
    hits: tuple[Hit, ...]

    @property
    def found(self) -> Measurement:
        """How many lines carry one; inconclusive when no file was looked at."""
        figure = Measurement("placeholders", len(self.hits), "lines", self.where, samples=self.files)
        if not self.files:
            problem = ObserverError(f"there is no file in {self.where}", "Mend code.placeholders.paths.")
            return replace(figure, value=None, problem=problem)
        if self.hits:
            places = [f"{hit.path}:{hit.line}: {hit.text.strip()[:100]}" for hit in self.hits]
            count = "1 line" if len(places) == 1 else f"{len(places)} lines"
            cause = f"{count} with one of {', '.join(self.words)}:\n{listed(places, chr(10))}"
            remedy = (
                "Finish them; where they belong there, as in demo files, add the glob to code.placeholders.allowed."
            )
            return replace(figure, problem=ServiceError(cause, remedy))
        return figure


@probe
def placeholder_scan(checkout: Checkout, code: Code) -> PlaceholderScan:
    """Look for unfinished code: `code.placeholders`. Raises ObserverError when the files cannot be listed."""
    wanted = given(code.placeholders, "code.placeholders")
    files, hits = checkout.search(wanted.words, wanted.paths, wanted.allowed)
    return PlaceholderScan(tuple(wanted.words), ", ".join(wanted.paths), files, hits)


@probe
def tested_tree(checkout: Checkout, code: Code, candidate_commit: str) -> Measurement:
    """Whether HEAD is `candidate_commit` (if one is named) and nothing is changed; anything else is inconclusive."""
    figure = Measurement("checkout", None, source=f"git, {checkout.path}")
    written = [str(PurePosixPath(code.directory, file)) for file in (code.junit, code.coverage) if file]
    try:
        head = checkout.commit("HEAD")
        wanted = checkout.commit(candidate_commit) if candidate_commit else head
        changes = checkout.changes(but=written, below=code.directory)
    except ObserverError as problem:
        return replace(figure, problem=problem)
    if head != wanted:
        other = ObserverError(
            f"the checkout is at {head[:7]}, and the release is {wanted[:7]}: what was checked is something else",
            f"git -C {quote(str(checkout.path))} switch --detach {wanted[:12]}",
        )
        return replace(figure, value=f"at {head[:7]}", problem=other)
    if changes:
        other = ObserverError(
            f"the checkout differs from {head[:7]}, so what was checked is not the release: {listed(changes)}",
            "Commit it, stash it, or let .gitignore name it.",
        )
        return replace(figure, value=f"{len(changes)} changes", problem=other)
    return replace(figure, value="the release", note=f"commit {head[:7]}")
