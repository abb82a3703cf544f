"""GitHub's releases with their assets, and the change of a comment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.github.http import GitHubRefusal, invalid, page, read_body
from sandbox.github.issues import MAX_BODY, user
from sandbox.github.model import MAIN, REPOSITORY
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.issues import Answer
    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_MAX_NOTES = 125_000
_WEB = f"https://github.com/{REPOSITORY}"


@dataclass(slots=True)
class Asset:
    """A file of a release."""

    id: int
    name: str
    kind: str
    content: bytes


@dataclass(slots=True)
class Release:
    """A release; its assets have names of their own."""

    id: int
    tag: str
    body: str
    at: datetime
    assets: list[Asset] = field(default_factory=list)


class GitHubReleases:
    """The endpoints over one repository; `login` is who the tokens belong to. All raise GitHubRefusal."""

    def __init__(self, repository: Repository, login: str) -> None:
        self._repository = repository
        self._login = login
        self.releases = [Release(repository.next_id(), "v2.40.0", "Subtitles in time.", datetime.now(UTC))]

    async def listing(self, request: Request) -> Answer:
        """All releases, newest first."""
        shown, headers = page(request, self.releases[::-1], lambda one: self._show(request, one))
        return shown, headers, 200

    async def by_tag(self, request: Request) -> Answer:
        """The release of a tag."""
        return self._show(request, self._one(request.path_params["tag"])), {}, 200

    async def create(self, request: Request) -> Answer:
        """Make a release; a tag has one only."""
        body = await read_body(request, "Release")
        tag = body.get("tag_name", str, "")
        if not tag:
            raise invalid("Release", "tag_name", "missing_field")
        if any(one.tag == tag for one in self.releases):
            raise invalid("Release", "tag_name", "already_exists")
        made = Release(self._repository.next_id(), tag, _notes(body.get("body", str, "")), datetime.now(UTC))
        self.releases.append(made)
        return self._show(request, made), {}, 201

    async def change(self, request: Request) -> Answer:
        """Change what a release says."""
        release = self._one(request.path_params["id"])
        body = await read_body(request, "Release")
        release.body = _notes(body.get("body", str, release.body))
        return self._show(request, release), {}, 200

    async def assets(self, request: Request) -> Answer:
        """The files of a release."""
        shown, headers = page(request, self._one(request.path_params["id"]).assets, lambda one: _asset(request, one))
        return shown, headers, 200

    async def upload(self, request: Request) -> Answer:
        """Add a file. A name that is there already is refused."""
        release, name = self._one(request.path_params["id"]), request.query_params.get("name", "")
        if not name:
            raise GitHubRefusal(400, "Bad Content-Length: name is missing")
        if any(one.name == name for one in release.assets):
            raise invalid("ReleaseAsset", "name", "already_exists")
        kind = request.headers.get("content-type", "")
        if not kind:
            raise GitHubRefusal(400, "Content-Type is missing")
        asset = Asset(self._repository.next_id(), name, kind, await request.body())
        release.assets.append(asset)
        return _asset(request, asset), {}, 201

    async def remove_asset(self, request: Request) -> Answer:
        """Take a file away."""
        for release in self.releases:
            for asset in release.assets:
                if asset.id == request.path_params["id"]:
                    release.assets.remove(asset)
                    return None, {}, 204
        raise GitHubRefusal(404, "Not Found")

    async def change_comment(self, request: Request) -> Answer:
        """Change a comment on an issue."""
        text = (await read_body(request, "IssueComment")).get("body", str, "")
        if not text:
            raise invalid("IssueComment", "body", "missing_field")
        if len(text) > MAX_BODY:
            raise invalid("IssueComment", "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
        for issue in self._repository.issues.values():
            for place, comment in enumerate(issue.comments):
                if comment.id == request.path_params["id"]:
                    issue.comments[place] = replace(comment, body=text)
                    return {"id": comment.id, "body": text, "user": user(comment.author)}, {}, 200
        raise GitHubRefusal(404, "Not Found")

    def _one(self, wanted: int | str) -> Release:
        for release in self.releases:
            if wanted in {release.id, release.tag}:
                return release
        raise GitHubRefusal(404, "Not Found")

    def _show(self, request: Request, release: Release) -> dict[str, Json]:
        base = f"{request.base_url}repos/{REPOSITORY}/releases/{release.id}"
        return {
            "id": release.id,
            "tag_name": release.tag,
            "target_commitish": MAIN,
            "name": release.tag,
            "body": release.body,
            "draft": False,
            "prerelease": False,
            "url": base,
            "html_url": f"{_WEB}/releases/tag/{release.tag}",
            "upload_url": f"{base}/assets{{?name,label}}",
            "author": user(self._login),
            "created_at": iso(release.at),
            "assets": [_asset(request, one) for one in release.assets],
        }


def _asset(request: Request, asset: Asset) -> dict[str, Json]:
    return {
        "id": asset.id,
        "name": asset.name,
        "content_type": asset.kind,
        "size": len(asset.content),
        "state": "uploaded",
        "url": f"{request.base_url}repos/{REPOSITORY}/releases/assets/{asset.id}",
        "browser_download_url": f"{_WEB}/releases/download/{asset.name}",
    }


def _notes(text: str) -> str:
    if len(text) > _MAX_NOTES:
        raise invalid("Release", "body", "custom", f"body is too long (maximum is {_MAX_NOTES} characters)")
    return text
