"""GitHub's REST API of one repository: issues, deployments, releases (https://docs.github.com/rest).

What is written carries a mark of ours, or is looked up first: a second time changes what the first one left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from pydantic import AliasPath, BaseModel, Field

from verification.clients.incidents import OpenIncident
from verification.clients.web_api import System, WebApi, token_of
from verification.errors import NotPermitted, ObserverError
from verification.settings.observers import GitHubSettings

DeploymentState = Literal["success", "failure"]

MOST_IN_COMMENT = 65_536  # characters of a comment, and of an issue's body
_MOST_IN_NOTES = 125_000  # characters of what a release says
_MOST_IN_DESCRIPTION = 140
_CLOCKS_DIFFER = timedelta(minutes=10)
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class _Repository(BaseModel):
    archived: bool = False
    writable: bool = Field(False, validation_alias=AliasPath("permissions", "push"))


class _Issue(BaseModel):
    title: str = ""
    state: str = ""
    html_url: str
    body: str | None = None
    pull_request: object | None = None


class _Comment(BaseModel):
    id: int
    body: str | None = None


class _Deployment(BaseModel):
    id: int


class _DeploymentStatus(BaseModel):
    state: str
    description: str | None = None


class _Asset(BaseModel):
    id: int
    name: str


class _Release(BaseModel):
    id: int
    body: str | None = None
    upload_url: str
    assets: list[_Asset] = []


class GitHub:
    """Client of one repository; `access` says what its token must permit. Methods raise ObserverError, NotPermitted."""

    def __init__(
        self,
        settings: GitHubSettings,
        variables: Mapping[str, str],
        access: str = "write access to contents",
        timeout: float | None = None,
    ) -> None:
        """`timeout`: seconds for each request, in place of the settings'. Raises NotPermitted without GITHUB_TOKEN."""
        self.settings = settings
        self.path = f"/repos/{settings.repository}"
        uploads = ("uploads.github.com",) if settings.url == "https://api.github.com" else ()
        system = System(
            "GitHub", settings.url, "GITHUB_TOKEN", f"{access} of {settings.repository}", other_hosts=uploads
        )
        self.api = WebApi(system, token_of(variables, system), timeout or settings.timeout, _HEADERS)

    def close(self) -> None:
        """End all connections."""
        self.api.close()

    def must_be_writable(self) -> None:
        """Hold that the token may write to the repository."""
        repository, name = self.api.get(self.path).read(_Repository), self.settings.repository
        if repository.archived:
            raise ObserverError(f"GitHub: {name} is archived", "Mend [github] repository in deployment.toml.")
        if not repository.writable:
            raise NotPermitted(
                f"GitHub: the token may read {name}, and not write to it",
                "Give GITHUB_TOKEN write access: incident tickets and the deploy workflow need it.",
            )

    def incidents(self, labels: Sequence[str]) -> list[OpenIncident]:
        """The open issues that carry one of `labels`; pull requests are none.

        One question for each label: several in one would ask for issues that carry them all.
        """
        found: dict[str, OpenIncident] = {}
        for label in labels:
            asked = {"state": "open", "labels": label, "per_page": "100"}
            for issue in self.api.items(f"{self.path}/issues", asked, _Issue):
                if issue.pull_request is None and issue.state == "open":
                    found.setdefault(issue.html_url, OpenIncident(issue.title, label, issue.html_url, "GitHub"))
        return list(found.values())

    def open_ticket(self, title: str, body: str, labels: Sequence[str], key: str, since: datetime) -> str:
        """The address of the issue with `key`, which is opened unless it was, not before `since`.

        `body` is Markdown, cut to GitHub's size; whoever wrote it has escaped what came from outside.
        """
        asked = {"state": "all", "since": f"{since - _CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}", "per_page": "100"}
        for issue in self.api.items(f"{self.path}/issues", asked, _Issue):
            if _mark(key) in (issue.body or ""):
                return issue.html_url
        whole = f"{_mark(key)}\n{body}"[:MOST_IN_COMMENT]
        wanted = {"title": title, "body": whole, "labels": [*labels]}
        return self.api.post(f"{self.path}/issues", wanted).read(_Issue).html_url

    def comment(self, issue: int, text: str, key: str) -> None:
        """Say `text` (Markdown, cut to GitHub's size) below an issue or pull request."""
        mark = _mark(key)
        body = {"body": f"{mark}\n{_cut(text, MOST_IN_COMMENT - len(mark) - 1)}"}
        for comment in self.api.items(f"{self.path}/issues/{issue}/comments", {"per_page": "100"}, _Comment):
            if (comment.body or "").startswith(mark):
                self.api.write("PATCH", f"{self.path}/issues/comments/{comment.id}", body)
                return
        self.api.post(f"{self.path}/issues/{issue}/comments", body)

    def add_to_release(self, tag: str, name: str, report: bytes, text: str, key: str) -> None:
        """Add the report as the file `name` to the release of `tag`, and `text` to what the release says."""
        release = self.api.get(f"{self.path}/releases/tags/{quote(tag)}").read(_Release)
        for asset in release.assets:
            if asset.name == name:
                self.api.write("DELETE", f"{self.path}/releases/assets/{asset.id}")
        upload = f"{release.upload_url.partition('{')[0]}?name={quote(name)}"
        self.api.write("POST", upload, content=report, headers={"Content-Type": "text/html"})
        notes = _with_section(release.body or "", text, key)
        self.api.write("PATCH", f"{self.path}/releases/{release.id}", {"body": notes})

    def record_deployment(self, commit: str, environment: str, state: DeploymentState, description: str) -> bool:
        """Give the deployment of `commit` its status; False where it has this one already.

        The deploy workflow's own deployment is used where there is one, else one is made.
        """
        path, text = f"{self.path}/deployments", description[:_MOST_IN_DESCRIPTION]
        asked = {"sha": commit, "environment": environment, "per_page": "1"}
        newest_first = self.api.get(path, asked).read(list[_Deployment])
        if newest_first:
            number = newest_first[0].id
        else:
            wanted = {"ref": commit, "environment": environment, "auto_merge": False, "required_contexts": []}
            number = self.api.post(path, wanted).read(_Deployment).id
        statuses = self.api.get(f"{path}/{number}/statuses", {"per_page": "100"}).read(list[_DeploymentStatus])
        if any((status.state, status.description) == (state, text) for status in statuses):
            return False
        self.api.post(f"{path}/{number}/statuses", {"state": state, "description": text})
        return True


def _with_section(notes: str, text: str, key: str) -> str:
    """`notes` with our section at their end, or in the place of the one that is there; theirs are never cut."""
    mark, end = _mark(key), _mark(f"{key} end")
    others = re.sub(rf"\n*{re.escape(mark)}.*?{re.escape(end)}", "", notes, flags=re.DOTALL)
    room = _MOST_IN_NOTES - len(others) - len(mark) - len(end) - 4
    return f"{others}\n\n{mark}\n{_cut(text, room)}\n{end}" if room > 0 else others


def _mark(key: str) -> str:
    return f"<!-- deployment-verification {key} -->"


def _cut(text: str, most: int) -> str:
    """Whole lines, as many as there is room for."""
    if len(text) <= most:
        return text
    rest = "\n\n… cut: the report has the rest."
    return text[: max(most - len(rest), 0)].rpartition("\n")[0] + rest
