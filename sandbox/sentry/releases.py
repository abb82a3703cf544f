"""Sentry's endpoints about the organization: its projects, its releases and their deploys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.sentry.http import SentryRefusal, iso, not_found, page, read_body
from sandbox.sentry.model import PROJECT, PROJECT_ID, SentryDeploy, SentryRelease
from sandbox.sentry.search import point_in_time
from sandbox.vendor_api import Json

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.sentry.model import SentryStore

_REQUIRED: list[Json] = ["This field is required."]


class SentryReleaseEndpoints:
    """Answers these endpoints over one store."""

    def __init__(self, store: SentryStore) -> None:
        self._store = store

    async def projects(self, request: Request) -> Response:
        """`/organizations/{org}/projects/`."""
        project: dict[str, object] = {
            "id": PROJECT_ID,
            "slug": PROJECT,
            "name": PROJECT,
            "platform": "python",
            "dateCreated": iso(self._store.created),
            "environments": sorted(self._store.environments),
        }
        body, headers = page(request, [project], dict)
        return JSONResponse(body, headers=headers)

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
        shown = {"version": release.version, "status": "open", "dateCreated": iso(release.created)}
        return JSONResponse(shown, status)

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
        deploy = SentryDeploy(number, environment, _text(body, "name"), started, finished)
        release.deploys.append(deploy)
        return JSONResponse(_deploy(deploy), 201)

    def _known(self, request: Request) -> SentryRelease:
        release = self._store.releases.get(request.path_params["version"])
        if release is None:
            raise not_found()
        return release


def _deploy(deploy: SentryDeploy) -> dict[str, object]:
    return {
        "id": str(deploy.id),
        "environment": deploy.environment,
        "name": deploy.name,
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
    return point_in_time(text, key) if text else None
