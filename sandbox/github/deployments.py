"""GitHub's deployments: what was deployed where, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import GitHubRefusal, invalid, known, page, read_body, url, user
from sandbox.github.model import LOGIN, DeploymentStatus, GitHubDeployment
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_COMMIT = re.compile(r"[0-9a-f]{40}")
_STATES = frozenset({"error", "failure", "inactive", "in_progress", "queued", "pending", "success"})
_MAX_DESCRIPTION = 140


class GitHubDeploymentEndpoints:
    """The endpoints over one repository. All raise GitHubRefusal."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def listing(self, request: Request) -> Response:
        """Deployments, newest first; each filter that is given must match exactly."""
        asked = request.query_params
        found = [
            deployment
            for deployment in reversed(self._repository.deployments.values())
            if asked.get("environment", deployment.environment) == deployment.environment
            and asked.get("sha", deployment.sha) == deployment.sha
        ]
        return page(request, found, _show)

    async def create(self, request: Request) -> Response:
        """Note a deployment of a branch or a commit."""
        body = await read_body(request, "Deployment")
        ref = body.text("ref", required=True)
        sha = self._repository.branches.get(ref, ref)
        if not _COMMIT.fullmatch(sha):
            raise GitHubRefusal(422, f"No ref found for: {ref}")
        environment = body.text("environment", "production")
        description = body.text("description", most=_MAX_DESCRIPTION)
        number, at = self._repository.next_id(), datetime.now(UTC)
        deployment = GitHubDeployment(number, ref, sha, environment, at, description)
        self._repository.deployments[number] = deployment
        return JSONResponse(_show(request, deployment), 201, {"Location": _url(request, deployment)})

    async def statuses(self, request: Request) -> Response:
        """What became of a deployment, newest first."""
        deployment = self._deployment(request)
        return page(request, deployment.statuses[::-1], partial(_show_status, deployment))

    async def add_status(self, request: Request) -> Response:
        """Report on a deployment. Success retires the older ones of its environment."""
        deployment = self._deployment(request)
        body = await read_body(request, "DeploymentStatus")
        state = body.text("state")
        if state not in _STATES:
            raise invalid("DeploymentStatus", "state", "custom", f"{state or 'nil'} is not a valid state")
        description = body.text("description", most=_MAX_DESCRIPTION)
        status = DeploymentStatus(self._repository.next_id(), state, datetime.now(UTC), description)
        deployment.statuses.append(status)
        if state == "success":
            self._retire_others(deployment, status.at)
        return JSONResponse(_show_status(deployment, request, status), 201)

    def _retire_others(self, deployment: GitHubDeployment, at: datetime) -> None:
        for other in self._repository.deployments.values():
            retires = other.environment == deployment.environment and other is not deployment
            if retires and other.statuses and other.statuses[-1].state == "success":
                other.statuses.append(DeploymentStatus(self._repository.next_id(), "inactive", at))

    def _deployment(self, request: Request) -> GitHubDeployment:
        return known(self._repository.deployments.get(request.path_params["id"]))


def _url(request: Request, deployment: GitHubDeployment) -> str:
    return url(request, f"/deployments/{deployment.id}")


def _show(request: Request, deployment: GitHubDeployment) -> dict[str, Json]:
    path = _url(request, deployment)
    return {
        "id": deployment.id,
        "url": path,
        "sha": deployment.sha,
        "ref": deployment.ref,
        "task": "deploy",
        "environment": deployment.environment,
        "description": deployment.description or None,
        "creator": user(LOGIN),
        "created_at": iso(deployment.at),
        "statuses_url": f"{path}/statuses",
    }


def _show_status(deployment: GitHubDeployment, request: Request, status: DeploymentStatus) -> dict[str, Json]:
    path = _url(request, deployment)
    return {
        "id": status.id,
        "url": f"{path}/statuses/{status.id}",
        "state": status.state,
        "creator": user(LOGIN),
        "description": status.description,
        "environment": deployment.environment,
        "created_at": iso(status.at),
        "deployment_url": path,
    }
