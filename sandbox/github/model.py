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
LOGIN = "bayit-deployments[bot]"  # who the tokens belong to

IssueState = Literal["open", "closed"]


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
    closed: datetime | None = None
    comments: list[IssueComment] = field(default_factory=list)

    def close(self) -> None:
        """Close it."""
        self.state, self.updated = "closed", datetime.now(UTC)
        self.closed = self.updated


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """What became of a deployment, as somebody reported it."""

    id: int
    state: str
    at: datetime
    description: str = ""


@dataclass(slots=True)
class GitHubDeployment:
    """A deployment as noted at GitHub; `statuses` are oldest first."""

    id: int
    ref: str
    sha: str
    environment: str
    at: datetime
    description: str = ""
    statuses: list[DeploymentStatus] = field(default_factory=list)


class Repository:
    """The repository. Its labels are found whatever the case of their letters, as GitHub does it."""

    def __init__(self) -> None:
        self.issues: dict[int, GitHubIssue] = {}  # by number
        self._labels: dict[str, str] = {}  # as they are written, by name in lower case
        self.deployments: dict[int, GitHubDeployment] = {}  # by id
        self.branches = {MAIN: hashlib.sha1(b"main", usedforsecurity=False).hexdigest()}
        self._last_id = 2_000_000_000

    def next_id(self) -> int:
        """An id that nothing else has."""
        self._last_id += 1
        return self._last_id

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
        names = [*dict.fromkeys(self._labels.setdefault(name.lower(), name) for name in labels)]
        issue = GitHubIssue(number, title, body, author, at, at, names, is_pull_request)
        self.issues[number] = issue
        return issue


def seed_repository(repository: Repository) -> None:
    """What was there before: nothing urgent is open, but a pull request carries P1, and so does a closed issue."""
    outage = repository.add_issue("Search is slow for everybody", ["P1", "incident"], author="dan", days_old=20)
    outage.close()
    repository.add_issue("Subtitles are late by a second", ["P2", "bug"], days_old=12)
    repository.add_issue("Add the index that search lacked", ["P1"], author="dan", is_pull_request=True, days_old=2)
    repository.add_issue("Try AV1 for the catalogue", [], days_old=1)


def seed_deployments(repository: Repository, running: Mapping[str, Rollout]) -> None:
    """Note the deployments of what runs now, by environment."""
    for environment, rollout in running.items():
        deployment = GitHubDeployment(repository.next_id(), MAIN, rollout.commit, environment, rollout.at)
        deployment.statuses.append(DeploymentStatus(repository.next_id(), "success", rollout.at))
        repository.deployments[deployment.id] = deployment
