"""Sentry's endpoints about the organization: itself, its projects, its releases and their deploys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import FULL_SCOPES, SentryRefusal, iso, not_found, page, read_body
from sandbox.sentry.model import ORGANIZATION, ORGANIZATION_ID, PROJECT, PROJECT_ID, SentryDeploy, SentryRelease
from sandbox.sentry.search import asked_moment
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore

_REQUIRED: list[Json] = ["This field is required."]


class SentryReleaseEndpoints:
    """Answers these endpoints over one store."""

    def __init__(self, store: SentryStore) -> None:
        self._store = store

    async def organization(self, _request: Request) -> Response:
        """`/organizations/{org}/`."""
        return JSONResponse(
            {
                "id": ORGANIZATION_ID,
                "slug": ORGANIZATION,
                "name": "Bayit+",
                "status": {"id": "active", "name": "active"},
                "dateCreated": iso(self._store.created),
                "features": [],
                "access": sorted(FULL_SCOPES),
            }
        )

    async def projects(self, request: Request) -> Response:
        """`/organizations/{org}/projects/`."""
        project: dict[str, object] = {
            "id": PROJECT_ID,
            "slug": PROJECT,
            "name": PROJECT,
            "platform": "python",
            "status": "active",
            "dateCreated": iso(self._store.created),
            "firstEvent": iso(self._store.created),
            "environments": sorted(self._store.environments),
            "isMember": True,
            "hasAccess": True,
            "access": ["project:read", "project:releases"],
            "features": [],
        }
        body, headers = page(request, [project], dict)
        return JSONResponse(body, headers=headers)

    async def releases(self, request: Request) -> Response:
        """`/organizations/{org}/releases/`, the newest first."""
        newest_first = sorted(self._store.releases.values(), key=lambda release: release.created, reverse=True)
        body, headers = page(request, newest_first, _release)
        return JSONResponse(body, headers=headers)

    async def release(self, request: Request) -> Response:
        """One release. Raises SentryRefusal."""
        return JSONResponse(_release(self._known(request)))

    async def create(self, request: Request) -> Response:
        """Create a release: 201, or 208 for one that is there already. Raises SentryRefusal."""
        body = await read_body(request)
        version, projects = body.get("version"), body.get("projects")
        missing: dict[str, Json] = {key: _REQUIRED for key in ("version", "projects") if not body.get(key)}
        if missing:
            raise SentryRefusal(400, missing)
        if not isinstance(version, str) or version in {".", ".."} or not version.strip() or "\n" in version:
            raise SentryRefusal(400, {"version": ["Release name is not valid"]})
        if not isinstance(projects, list) or not set(map(str, projects)) <= {PROJECT, PROJECT_ID}:
            raise SentryRefusal(400, {"projects": ["Invalid project ids or slugs"]})
        status = 208 if version in self._store.releases else 201
        release = self._store.release(version)
        release.ref = _text(body, "ref") or release.ref
        release.url = _text(body, "url") or release.url
        release.released = _time(body, "dateReleased") or release.released
        return JSONResponse(_release(release), status)

    async def deploys(self, request: Request) -> Response:
        """The deploys of a release, the newest first. Raises SentryRefusal."""
        return JSONResponse([_deploy(deploy) for deploy in reversed(self._known(request).deploys)])

    async def deploy(self, request: Request) -> Response:
        """Record a deploy. Raises SentryRefusal."""
        body = await read_body(request)
        release = self._known(request)
        environment = _text(body, "environment")
        if not environment:
            raise SentryRefusal(400, {"environment": _REQUIRED})
        number = 1 + sum(len(known.deploys) for known in self._store.releases.values())
        finished = _time(body, "dateFinished") or datetime.now(UTC)
        started = _time(body, "dateStarted")
        deploy = SentryDeploy(number, environment, _text(body, "name"), _text(body, "url"), started, finished)
        release.deploys.append(deploy)
        return JSONResponse(_deploy(deploy), 201)

    def _known(self, request: Request) -> SentryRelease:
        release = self._store.releases.get(request.path_params["version"])
        if release is None:
            raise not_found()
        return release


def _release(release: SentryRelease) -> dict[str, object]:
    return {
        "version": release.version,
        "shortVersion": release.version[:12],
        "ref": release.ref,
        "url": release.url,
        "status": "open",
        "dateCreated": iso(release.created),
        "dateReleased": iso(release.released) if release.released else None,
        "deployCount": len(release.deploys),
        "lastDeploy": _deploy(release.deploys[-1]) if release.deploys else None,
        "projects": [{"id": int(PROJECT_ID), "slug": PROJECT, "name": PROJECT}],
    }


def _deploy(deploy: SentryDeploy) -> dict[str, object]:
    return {
        "id": str(deploy.id),
        "environment": deploy.environment,
        "name": deploy.name,
        "url": deploy.url,
        "dateStarted": iso(deploy.started) if deploy.started else None,
        "dateFinished": iso(deploy.finished),
    }


def _text(body: dict[str, object], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise SentryRefusal(400, {key: ["Not a valid string."]})
    return value


def _time(body: dict[str, object], key: str) -> datetime | None:
    text = _text(body, key)
    return asked_moment(text, key) if text else None
