"""The systems around a deployment that people write to: Slack, GitHub, PagerDuty, Statuspage and Jira."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from sandbox.github.app import GitHubApp
from sandbox.incidents.jira import JiraApp
from sandbox.incidents.pagerduty import PagerDutyApp
from sandbox.incidents.statuspage import StatuspageApp
from sandbox.platform.listener import Listener
from sandbox.slack.app import SlackApp

if TYPE_CHECKING:
    from sandbox.github.runs import DeployRunner
    from sandbox.vendor_api import Json, VendorApp


class Vendors:
    """The applications, and a port for each. `faults` are those in force; `runner` runs GitHub's deploy workflow."""

    def __init__(self, faults: AbstractSet[str], runner: DeployRunner) -> None:
        self.slack, self.github = SlackApp(faults), GitHubApp(faults, runner)
        self.pagerduty, self.statuspage, self.jira = PagerDutyApp(), StatuspageApp(), JiraApp()
        self._apps: dict[str, VendorApp] = {
            "slack": self.slack,
            "github": self.github,
            "pagerduty": self.pagerduty,
            "statuspage": self.statuspage,
            "jira": self.jira,
        }
        self.listeners = {name: Listener(app) for name, app in self._apps.items()}

    def addresses(self) -> dict[str, Mapping[str, Json]]:
        """Where each of them is, and what a client needs to be let in, by name."""
        return {name: app.address(self.listeners[name].url) for name, app in self._apps.items()}
