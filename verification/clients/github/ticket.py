"""An issue on GitHub as an incident ticket: opened once for each key (https://docs.github.com/rest/issues)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.github.client import HEADERS
from verification.clients.web_api import System, WebApi, token_of
from verification.settings.observers import GitHub

_MOST = 65_536  # characters of an issue's body
_CLOCKS_DIFFER = timedelta(minutes=10)


class _Issue(BaseModel):
    model_config = ConfigDict(extra="ignore")

    html_url: str
    body: str | None = None


_ISSUE, _ISSUES = TypeAdapter(_Issue), TypeAdapter(list[_Issue])


class GitHubTickets:
    """The tickets of a repository. Each method raises ObserverError, NotPermitted."""

    def __init__(self, api: WebApi, repository: str) -> None:
        self._api = api
        self._path = f"/repos/{repository}/issues"

    @classmethod
    def of(cls, settings: GitHub, timeout: float, variables: Mapping[str, str]) -> GitHubTickets:
        """Raises NotPermitted without GITHUB_TOKEN."""
        system = System("GitHub", settings.url, "GITHUB_TOKEN", f"write access to issues of {settings.repository}")
        return cls(WebApi(system, token_of(variables, system), timeout, headers=HEADERS), settings.repository)

    def open(self, title: str, body: str, labels: Sequence[str], key: str, since: datetime) -> str:
        """The address of the ticket with `key`, which is opened unless it was, not before `since`.

        `body` is Markdown, cut to GitHub's size; whoever wrote it has escaped what came from outside.
        """
        mark = f"<!-- deployment-verification {key} -->"
        asked = {"state": "all", "since": f"{since - _CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}", "per_page": "100"}
        for page in self._api.pages(self._path, asked):
            for issue in page.read(_ISSUES):
                if mark in (issue.body or ""):
                    return issue.html_url
        whole = f"{mark}\n{body}"
        return (
            self._api.post(self._path, {"title": title, "body": whole[:_MOST], "labels": [*labels]})
            .read(_ISSUE)
            .html_url
        )

    def close(self) -> None:
        """End all connections."""
        self._api.close()
