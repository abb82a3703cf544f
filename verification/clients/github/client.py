"""GitHub's REST API: the repository, and open issues that are incidents (https://docs.github.com/rest)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.incidents.open_incidents import Incident
from verification.clients.web_api import System, WebApi, token_of
from verification.errors import NotPermitted, ObserverError
from verification.settings.observers import GitHub

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class _Issue(BaseModel):
    model_config = ConfigDict(extra="ignore")

    number: int
    title: str
    state: str
    html_url: str
    pull_request: object | None = None


class _Permissions(BaseModel):
    push: bool = False


class _Repository(BaseModel):
    archived: bool = False
    permissions: _Permissions = _Permissions()


_ISSUES = TypeAdapter(list[_Issue])
_REPOSITORY = TypeAdapter(_Repository)


def must_be_writable(github: GitHub, timeout: float, variables: Mapping[str, str]) -> None:
    """Hold that the token may write to the repository. Raises ObserverError, NotPermitted."""
    system = System("GitHub", github.url, "GITHUB_TOKEN", f"write access to {github.repository}")
    with closing(WebApi(system, token_of(variables, system), timeout, headers=HEADERS)) as api:
        repository = api.get(f"/repos/{github.repository}").read(_REPOSITORY)
    if repository.archived:
        raise ObserverError(f"GitHub: {github.repository} is archived", "Mend [github] repository in deployment.toml.")
    if not repository.permissions.push:
        raise NotPermitted(
            f"GitHub: the token may read {github.repository}, and not write to it",
            "Give GITHUB_TOKEN write access: incident tickets and the deploy workflow need it.",
        )


class GitHubIssues:
    """The open issues of a repository that carry one of `labels`, as incidents; pull requests are none."""

    name = "GitHub"

    def __init__(self, api: WebApi, repository: str, labels: Sequence[str]) -> None:
        self._api = api
        self._repository = repository
        self._labels = labels

    @classmethod
    def of(cls, github: GitHub, labels: Sequence[str], timeout: float, variables: Mapping[str, str]) -> GitHubIssues:
        """Raises NotPermitted without GITHUB_TOKEN."""
        system = System("GitHub", github.url, "GITHUB_TOKEN", f"read access to issues of {github.repository}")
        return cls(WebApi(system, token_of(variables, system), timeout, headers=HEADERS), github.repository, labels)

    def open(self) -> list[Incident]:
        """One question for each label: several in one would ask for issues that carry them all."""
        found: dict[int, Incident] = {}
        for label in self._labels:
            asked = {"state": "open", "labels": label, "per_page": "100"}
            for page in self._api.pages(f"/repos/{self._repository}/issues", asked):
                for issue in page.read(_ISSUES):
                    if issue.pull_request is None and issue.state == "open":
                        found.setdefault(issue.number, Incident(issue.title, label, issue.html_url, self.name))
        return list(found.values())

    def close(self) -> None:
        """End all connections."""
        self._api.close()
