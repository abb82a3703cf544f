"""Probes of open incidents, from all the sources that the settings name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from verification.clients.github.client import GitHub
from verification.clients.incidents import (
    IncidentAnswers,
    OpenIncident,
    ask_all,
    pagerduty_incidents,
    statuspage_incidents,
)
from verification.clients.slack.client import Slack
from verification.deadline import now
from verification.errors import ObserverError, ServiceError, VerificationError
from verification.probe import probe
from verification.probes.health import given
from verification.probes.source import listed
from verification.settings.model import Settings
from verification.settings.observers import GitHubSettings, Incidents, SlackIncidents, SlackSettings
from verification.verdict import Measurement, record

_ADVISORY = "Slack"


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """What the deciding sources said, and the `advice` of Slack, which decides nothing."""

    asked: IncidentAnswers
    advice: Measurement | None = None

    def must_be_none(self) -> None:
        """Hold that no critical incident is open; what Slack says stands beside it."""
        __tracebackhide__ = True
        if self.advice is not None:
            record(self.advice)
        self.count.must_be(0)

    @property
    def count(self) -> Measurement:
        """How many are open. An open one counts even when other sources are silent; none only when all answer."""
        found = self.asked.incidents
        return Measurement(
            "open critical incidents",
            len(found) if found or not self._unknown() else None,
            source=", ".join(self.asked.found),
            samples=len(self.asked.found),
            note=self._silence(),
            problem=self._open(found) if found else self._unknown(),
        )

    def _open(self, found: tuple[OpenIncident, ...]) -> ServiceError:
        silence = f". {self._silence()}" if self.asked.silent else ""
        return ServiceError(
            f"{len(found)} critical incidents are open: {listed(found)}{silence}",
            "Postpone the deployment until they are closed (a remedy for one of them: --profile hotfix).",
        )

    def _unknown(self) -> VerificationError | None:
        if not self.asked.found and not self.asked.silent:
            return ObserverError("no source of incidents is configured", "Add [incidents] to deployment.toml.")
        if not self.asked.silent:
            return None
        remedy = next(iter(self.asked.silent.values())).remedy
        quiet = f"; {', '.join(self.asked.found)}: none open" if self.asked.found else ""
        return ObserverError(f"{self._silence()}{quiet}: whether incidents are open is not known", remedy)

    def _silence(self) -> str:
        return "; ".join(f"{name} does not tell: {problem.cause}" for name, problem in self.asked.silent.items())


@probe
def open_incidents(settings: Settings, variables: dict[str, str]) -> OpenIncidents:
    """Ask every source of incidents, side by side."""
    return find_incidents(given(settings.incidents, "incidents"), settings.github, settings.slack, variables)


def find_incidents(
    settings: Incidents, github: GitHubSettings | None, slack: SlackSettings | None, variables: Mapping[str, str]
) -> OpenIncidents:
    """Ask the sources that `settings` name; one that fails is noted."""
    sources: dict[str, Callable[[], list[OpenIncident]]] = {}
    if settings.github:
        labels = settings.github.labels
        sources["GitHub"] = lambda: _issues(given(github, "github"), labels, settings.timeout, variables)
    if settings.pagerduty:
        pagerduty = settings.pagerduty
        sources["PagerDuty"] = lambda: pagerduty_incidents(pagerduty, settings.timeout, variables)
    if settings.statuspage:
        page = settings.statuspage
        sources["Statuspage"] = lambda: statuspage_incidents(page, settings.timeout)
    if settings.slack:
        words = settings.slack
        sources[_ADVISORY] = lambda: _mentions(given(slack, "slack"), words, variables)
    asked = ask_all(sources)
    deciding = IncidentAnswers(
        {name: found for name, found in asked.found.items() if name != _ADVISORY},
        {name: problem for name, problem in asked.silent.items() if name != _ADVISORY},
    )
    return OpenIncidents(deciding, _advice(asked, settings.slack, slack) if settings.slack else None)


def _issues(
    settings: GitHubSettings, labels: Sequence[str], timeout: float, variables: Mapping[str, str]
) -> list[OpenIncident]:
    with closing(GitHub(settings, variables, "read access to issues", timeout)) as github:
        return github.incidents(labels)


def _mentions(slack: SlackSettings, settings: SlackIncidents, variables: Mapping[str, str]) -> list[OpenIncident]:
    """The messages in Slack that mention one of the words, as if each were an incident. Raises ObserverError."""
    words = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, settings.words))})(?!\w)", re.IGNORECASE)
    since = now() - timedelta(seconds=settings.lookback)
    found = []
    for message in Slack.of(slack, variables).read(slack.incidents, since):
        if word := words.search(message.text):
            text = " ".join(message.text.split())[:200]
            found.append(OpenIncident(text, word[1], f"{message.at:%Y-%m-%d %H:%M} UTC", f"Slack {slack.incidents}"))
    return found


def _advice(asked: IncidentAnswers, settings: SlackIncidents, slack: SlackSettings | None) -> Measurement:
    mentions = asked.found.get(_ADVISORY)
    name = f"mentions of {', '.join(settings.words)} (advisory)"
    source = f"Slack {slack.incidents}" if slack else _ADVISORY
    if mentions is None:
        return Measurement(name, None, source=source, note=asked.silent[_ADVISORY].cause)
    return Measurement(name, len(mentions), source=source, window_s=settings.lookback, note=listed(mentions))
