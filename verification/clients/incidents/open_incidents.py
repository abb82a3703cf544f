"""Open incidents, from whichever systems know of them.

Slack is not among the deciding sources: that nobody wrote of an incident does not mean that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from verification.errors import ObserverError, VerificationError
from verification.redaction import redact


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident, in the words of its source."""

    title: str
    severity: str
    url: str
    source: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.title} ({self.source}, {self.url})"


class IncidentSource(Protocol):
    """A system that knows of incidents."""

    def open(self) -> list[Incident]:
        """The critical incidents that are open now. Raises ObserverError when it cannot tell."""

    def close(self) -> None:
        """End all connections."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the sources said, by their names: their open incidents, or why they did not answer."""

    found: Mapping[str, tuple[Incident, ...]]
    silent: Mapping[str, VerificationError]

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """All open incidents."""
        return tuple(one for several in self.found.values() for one in several)


def ask_all(makers: Mapping[str, Callable[[], IncidentSource]]) -> Asked:
    """Make and ask all sources side by side. One that fails is noted, and keeps no other from answering."""
    found: dict[str, tuple[Incident, ...]] = {}
    silent: dict[str, VerificationError] = {}
    if not makers:
        return Asked(found, silent)
    with ThreadPoolExecutor(len(makers)) as pool:
        for name, answer in zip(makers, pool.map(_ask, makers, makers.values()), strict=True):
            if isinstance(answer, VerificationError):
                silent[name] = answer
            else:
                found[name] = answer
    return Asked(found, silent)


def _ask(name: str, make: Callable[[], IncidentSource]) -> tuple[Incident, ...] | VerificationError:
    try:
        with closing(make()) as source:
            return tuple(source.open())
    except VerificationError as problem:
        return problem
    except Exception as error:  # one source must not silence the others
        return ObserverError(f"{name} could not be asked: {type(error).__name__}: {redact(str(error))}")
