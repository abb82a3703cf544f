"""Open incidents, from whichever systems know of them.

Slack is not among the deciding sources: that nobody wrote of an incident does not mean that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from verification.errors import ObserverError, VerificationError
from verification.redaction import redact


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An open incident, in the words of its source."""

    title: str
    severity: str
    url: str
    source: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.title} ({self.source}, {self.url})"


@dataclass(frozen=True, slots=True)
class IncidentAnswers:
    """What the sources said, by their names: their open incidents, or why they did not answer."""

    found: Mapping[str, tuple[OpenIncident, ...]]
    silent: Mapping[str, VerificationError]

    @property
    def incidents(self) -> tuple[OpenIncident, ...]:
        """All open incidents."""
        return tuple(incident for incidents in self.found.values() for incident in incidents)


def ask_all(sources: Mapping[str, Callable[[], list[OpenIncident]]]) -> IncidentAnswers:
    """Ask all sources, side by side. One that fails is noted, and keeps no other from answering."""
    found: dict[str, tuple[OpenIncident, ...]] = {}
    silent: dict[str, VerificationError] = {}
    with ThreadPoolExecutor(max(len(sources), 1)) as pool:
        for name, answer in zip(sources, pool.map(_ask, sources, sources.values()), strict=True):
            if isinstance(answer, VerificationError):
                silent[name] = answer
            else:
                found[name] = answer
    return IncidentAnswers(found, silent)


def _ask(name: str, source: Callable[[], list[OpenIncident]]) -> tuple[OpenIncident, ...] | VerificationError:
    try:
        return tuple(source())
    except VerificationError as problem:
        return problem
    except Exception as error:  # one source must not silence the others
        return ObserverError(f"{name} could not be asked: {type(error).__name__}: {redact(str(error))}")
