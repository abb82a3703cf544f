"""A report on GitHub: as a comment on an issue, or as a file of a release (https://docs.github.com/rest)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.web_api import System, WebApi, token_of
from verification.clients.writing import Writer
from verification.settings.observers import GitHub

MOST = 65_536  # characters of a comment
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NOTES = 125_000  # characters of what a release says


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Comment(_Part):
    id: int
    body: str | None = None


class _Asset(_Part):
    id: int
    name: str


class _Release(_Part):
    id: int
    body: str | None = None
    html_url: str
    upload_url: str
    assets: list[_Asset] = []


_COMMENTS, _RELEASE = TypeAdapter(list[_Comment]), TypeAdapter(_Release)


class GitHubAttachment:
    """Where reports go on GitHub. `key` tells ours apart: a second time changes what the first one left.

    Each method raises ObserverError, NotPermitted.
    """

    def __init__(self, github: GitHub, variables: Mapping[str, str]) -> None:
        system = System("GitHub", github.url, "GITHUB_TOKEN", f"write access to {github.repository}")
        token = token_of(variables, system)
        self._repository = f"/repos/{github.repository}"
        self._open = ExitStack()
        self._api = WebApi(system, token, github.timeout, headers=_HEADERS)
        self._open.callback(self._api.close)
        self._writer = Writer(system, {**_HEADERS, "Authorization": f"Bearer {token}"}, github.timeout)
        self._open.callback(self._writer.close)

    def close(self) -> None:
        """End all connections."""
        self._open.close()

    def comment(self, issue: int, text: str, key: str) -> None:
        """Say `text` (Markdown, cut to GitHub's size) below an issue or pull request."""
        mark = _mark(key)
        body = {"body": f"{mark}\n{_cut(text, MOST - len(mark) - 1)}"}
        for page in self._api.pages(f"{self._repository}/issues/{issue}/comments", {"per_page": "100"}):
            for one in page.read(_COMMENTS):
                if (one.body or "").startswith(mark):
                    self._writer.json("PATCH", f"{self._repository}/issues/comments/{one.id}", body)
                    return
        self._writer.json("POST", f"{self._repository}/issues/{issue}/comments", body)

    def release(self, tag: str, name: str, report: bytes, text: str, key: str) -> None:
        """Add the report as the file `name` to the release of `tag`, and `text` to what the release says."""
        release = self._api.get(f"{self._repository}/releases/tags/{quote(tag)}").read(_RELEASE)
        for asset in release.assets:
            if asset.name == name:
                self._writer.delete(f"{self._repository}/releases/assets/{asset.id}")
        upload = release.upload_url.partition("{")[0]
        self._writer.content(f"{upload}?name={quote(name)}", report, "text/html")
        notes = _with_section(release.body or "", text, key)
        self._writer.json("PATCH", f"{self._repository}/releases/{release.id}", {"body": notes})


def _with_section(notes: str, text: str, key: str) -> str:
    """`notes` with our section at their end, or in the place of the one that is there; theirs are never cut."""
    mark, end = _mark(key), _mark(f"{key} end")
    others = re.sub(rf"\n*{re.escape(mark)}.*?{re.escape(end)}", "", notes, flags=re.DOTALL)
    room = _NOTES - len(others) - len(mark) - len(end) - 4
    return f"{others}\n\n{mark}\n{_cut(text, room)}\n{end}" if room > 0 else others


def _mark(key: str) -> str:
    return f"<!-- deployment-verification {key} -->"


def _cut(text: str, most: int) -> str:
    """Whole lines, as many as there is room for."""
    if len(text) <= most:
        return text
    rest = "\n\n… cut: the report has the rest."
    return text[: max(most - len(rest), 0)].rpartition("\n")[0] + rest
