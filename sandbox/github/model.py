"""What GitHub holds for one repository: issues with labels and comments, deployments with statuses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandbox.platform.model import Rollout

REPOSITORY = "bayit-plus/Bayit-Plus"
MAIN = "main"

IssueState = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Label:
    """A label of the repository."""

    name: str
    color: str = "ededed"
    description: str = ""


@dataclass(slots=True)
class IssueComment:
    """A comment on an issue."""

    id: int
    author: str
    body: str
    at: datetime


@dataclass(slots=True)
class GitHubIssue:
    """An issue, or a pull request: GitHub lists both as issues."""

    number: int
    title: str
    body: str
    author: str
    created: datetime
    updated: datetime
    labels: list[str] = field(default_factory=list)
    is_pull_request: bool = False
    state: IssueState = "open"
    state_reason: str | None = None
    closed: datetime | None = None
    comments: list[IssueComment] = field(default_factory=list)

    def set_state(self, state: IssueState, reason: str | None = None) -> None:
        """Open or close it."""
        self.updated = datetime.now(UTC)
        if state != self.state:
            self.closed = self.updated if state == "closed" else None
            self.state_reason = reason or ("completed" if state == "closed" else "reopened")
        self.state = state


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """What became of a deployment, as somebody reported it."""

    id: int
    state: str
    environment: str
    at: datetime
    description: str = ""
    environment_url: str = ""
    log_url: str = ""


@dataclass(slots=True)
class GitHubDeployment:
    """A deployment as noted at GitHub; `statuses` are oldest first."""

    id: int
    ref: str
    sha: str
    environment: str
    at: datetime
    is_production: bool
    is_transient: bool = False
    description: str = ""
    task: str = "deploy"
    payload: object = field(default_factory=dict)
    statuses: list[DeploymentStatus] = field(default_factory=list)


class Repository:
    """The repository. Its labels are found whatever the case of their letters, as GitHub does it."""

    def __init__(self) -> None:
        self.issues: dict[int, GitHubIssue] = {}  # by number
        self.labels: dict[str, Label] = {}  # by name in lower case
        self.deployments: dict[int, GitHubDeployment] = {}  # by id
        self.branches = {MAIN: hashlib.sha1(b"main", usedforsecurity=False).hexdigest()}
        self._last_id = 2_000_000_000

    def next_id(self) -> int:
        """An id that nothing else has."""
        self._last_id += 1
        return self._last_id

    def label(self, name: str) -> Label:
        """The label, which is made if nobody has used it yet."""
        return self.labels.setdefault(name.lower(), Label(name))

    def add_issue(
        self,
        title: str,
        labels: list[str],
        *,
        body: str = "",
        author: str = "noa",
        is_pull_request: bool = False,
        days_old: float = 0,
    ) -> GitHubIssue:
        """A new open issue or pull request; both count in one series of numbers."""
        at = datetime.now(UTC) - timedelta(days=days_old)
        number = len(self.issues) + 1
        names = [self.label(name).name for name in dict.fromkeys(labels)]
        issue = GitHubIssue(number, title, body, author, at, at, names, is_pull_request)
        self.issues[number] = issue
        return issue


def seed_repository(repository: Repository) -> None:
    """What was there before: nothing urgent is open, but a pull request carries P1, and so does a closed issue."""
    for name, color, meaning in (
        ("P0", "b60205", "Everything is down"),
        ("P1", "d93f0b", "Many users are affected"),
        ("P2", "fbca04", "Some users are affected"),
        ("bug", "d73a4a", "Something is not working"),
        ("incident", "5319e7", "A disturbance, past or present"),
    ):
        repository.labels[name.lower()] = Label(name, color, meaning)
    outage = repository.add_issue("Search is slow for everybody", ["P1", "incident"], author="dan", days_old=20)
    outage.set_state("closed")
    repository.add_issue("Subtitles are late by a second", ["P2", "bug"], days_old=12)
    repository.add_issue("Add the index that search lacked", ["P1"], author="dan", is_pull_request=True, days_old=2)
    repository.add_issue("Try AV1 for the catalogue", [], days_old=1)


def seed_deployments(repository: Repository, running: Mapping[str, Rollout]) -> None:
    """Note the deployments of what runs now, by environment."""
    for environment, rollout in running.items():
        is_production, at = environment == "production", rollout.at
        deployment = GitHubDeployment(repository.next_id(), MAIN, rollout.commit, environment, at, is_production)
        deployment.statuses.append(DeploymentStatus(repository.next_id(), "success", environment, at))
        repository.deployments[deployment.id] = deployment
