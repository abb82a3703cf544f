"""GitHub's releases, with their assets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import WEB, GitHubRefusal, invalid, known, read_body, url, user
from sandbox.github.model import LOGIN
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_MAX_NOTES = 125_000


@dataclass(slots=True)
class ReleaseAsset:
    """A file of a release."""

    id: int
    name: str
    kind: str
    content: bytes


@dataclass(slots=True)
class GitHubRelease:
    """A release; its assets have names of their own."""

    id: int
    tag: str
    body: str
    at: datetime
    assets: list[ReleaseAsset] = field(default_factory=list)


class GitHubReleaseEndpoints:
    """The endpoints over one repository. All raise GitHubRefusal."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.releases = [GitHubRelease(repository.next_id(), "v2.40.0", "Subtitles in time.", datetime.now(UTC))]

    async def by_tag(self, request: Request) -> Response:
        """The release of a tag."""
        return JSONResponse(_show(request, self._release(request.path_params["tag"])))

    async def change(self, request: Request) -> Response:
        """Change what a release says."""
        release = self._release(request.path_params["id"])
        body = await read_body(request, "Release")
        release.body = body.text("body", release.body, most=_MAX_NOTES)
        return JSONResponse(_show(request, release))

    async def upload(self, request: Request) -> Response:
        """Add a file. A name that is there already is refused."""
        release, name = self._release(request.path_params["id"]), request.query_params.get("name", "")
        if not name:
            raise GitHubRefusal(400, "Bad Content-Length: name is missing")
        if any(asset.name == name for asset in release.assets):
            raise invalid("ReleaseAsset", "name", "already_exists")
        kind = request.headers.get("content-type", "")
        if not kind:
            raise GitHubRefusal(400, "Content-Type is missing")
        asset = ReleaseAsset(self._repository.next_id(), name, kind, await request.body())
        release.assets.append(asset)
        return JSONResponse(_asset(request, asset), 201)

    async def remove_asset(self, request: Request) -> Response:
        """Take a file away."""
        every = ((release, asset) for release in self.releases for asset in release.assets)
        wanted = request.path_params["id"]
        release, asset = known(next((pair for pair in every if pair[1].id == wanted), None))
        release.assets.remove(asset)
        return Response(status_code=204)

    def _release(self, wanted: int | str) -> GitHubRelease:
        return known(next((release for release in self.releases if wanted in {release.id, release.tag}), None))


def _show(request: Request, release: GitHubRelease) -> dict[str, Json]:
    base = url(request, f"/releases/{release.id}")
    return {
        "id": release.id,
        "tag_name": release.tag,
        "name": release.tag,
        "body": release.body,
        "url": base,
        "html_url": f"{WEB}/releases/tag/{release.tag}",
        "upload_url": f"{base}/assets{{?name,label}}",
        "author": user(LOGIN),
        "created_at": iso(release.at),
        "assets": [_asset(request, asset) for asset in release.assets],
    }


def _asset(request: Request, asset: ReleaseAsset) -> dict[str, Json]:
    return {
        "id": asset.id,
        "name": asset.name,
        "content_type": asset.kind,
        "size": len(asset.content),
        "state": "uploaded",
        "url": url(request, f"/releases/assets/{asset.id}"),
        "browser_download_url": f"{WEB}/releases/download/{asset.name}",
    }
