"""GitHub's REST API: open issues that are incidents (https://docs.github.com/rest/issues/issues)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.incidents import Incident
from verification.clients.web_api import System, WebApi, token_of
from verification.settings_observers import GitHub

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class _Issue(BaseModel):
    model_config = ConfigDict(extra="ignore")

    number: int
    title: str
    state: str
    html_url: str
    pull_request: object | None = None


_ISSUES = TypeAdapter(list[_Issue])


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
        return cls(WebApi(system, token_of(variables, system), timeout, headers=_HEADERS), github.repository, labels)

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
