"""The systems around a deployment that people write to: Slack, GitHub, PagerDuty, Statuspage and Jira."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from sandbox.addresses import (
    GitHubAddress,
    JiraAddress,
    PagerDutyAddress,
    SlackAddress,
    StatuspageAddress,
    VendorAddresses,
)
from sandbox.github.app import GitHubApp
from sandbox.github.model import REPOSITORY
from sandbox.incidents.jira import JiraApp
from sandbox.incidents.pagerduty import PagerDutyApp
from sandbox.incidents.statuspage import StatuspageApp
from sandbox.platform.listener import Listener
from sandbox.slack.app import SlackApp

if TYPE_CHECKING:
    from sandbox.github.runs import WorkflowRunner


class Vendors:
    """The applications, and a port for each. `faults` are those in force; `runner` runs GitHub's deploy workflow."""

    def __init__(self, faults: AbstractSet[str], runner: WorkflowRunner) -> None:
        self.slack, self.github = SlackApp(faults), GitHubApp(faults, runner)
        self.pagerduty, self.statuspage, self.jira = PagerDutyApp(), StatuspageApp(), JiraApp()
        self.listeners = tuple(
            Listener(app) for app in (self.slack, self.github, self.pagerduty, self.statuspage, self.jira)
        )

    def addresses(self) -> VendorAddresses:
        """Where each of them is, and what a client needs to be let in."""
        slack, github, pagerduty, statuspage, jira = (listener.url for listener in self.listeners)
        return {
            "slack": SlackAddress(slack, self.slack.token, self.slack.token_without_scope),
            "github": GitHubAddress(github, self.github.token, self.github.token_without_scope, REPOSITORY),
            "pagerduty": PagerDutyAddress(pagerduty, self.pagerduty.token, self.pagerduty.routing_key),
            "statuspage": StatuspageAddress(statuspage),
            "jira": JiraAddress(jira, self.jira.email, self.jira.token, next(iter(self.jira.issues))),
        }
