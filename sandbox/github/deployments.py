"""GitHub's deployments: what was deployed where, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import GitHubRefusal, invalid, not_found, page, read_body
from sandbox.github.issues import user
from sandbox.github.model import REPOSITORY, DeploymentStatus, GitHubDeployment
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_COMMIT = re.compile(r"[0-9a-f]{40}")
_STATES = frozenset({"error", "failure", "inactive", "in_progress", "queued", "pending", "success"})
_MAX_DESCRIPTION = 140


class GitHubDeploymentEndpoints:
    """The endpoints over one repository; `login` is who the tokens belong to. All raise GitHubRefusal."""

    def __init__(self, repository: Repository, login: str) -> None:
        self._repository = repository
        self._login = login

    async def listing(self, request: Request) -> Response:
        """Deployments, newest first; each filter that is given must match exactly."""
        asked = request.query_params
        found = [
            deployment
            for deployment in reversed(self._repository.deployments.values())
            if asked.get("environment", deployment.environment) == deployment.environment
            and asked.get("ref", deployment.ref) == deployment.ref
            and asked.get("sha", deployment.sha) == deployment.sha
            and asked.get("task", deployment.task) == deployment.task
        ]
        return page(request, found, self._show)

    async def create(self, request: Request) -> Response:
        """Note a deployment of a branch or a commit."""
        body = await read_body(request, "Deployment")
        ref = body.text("ref", required=True)
        sha = self._repository.branches.get(ref, ref)
        if not _COMMIT.fullmatch(sha):
            raise GitHubRefusal(422, f"No ref found for: {ref}")
        environment = body.text("environment", "production")
        deployment = GitHubDeployment(
            id=self._repository.next_id(),
            ref=ref,
            sha=sha,
            environment=environment,
            description=body.text("description", most=_MAX_DESCRIPTION),
            payload=body.values.get("payload", {}),
            task=body.text("task", "deploy"),
            is_production=body.get("production_environment", bool, environment == "production"),
            is_transient=body.get("transient_environment", bool, False),
            at=datetime.now(UTC),
        )
        self._repository.deployments[deployment.id] = deployment
        return JSONResponse(self._show(request, deployment), 201, {"Location": self._url(request, deployment)})

    async def read(self, request: Request) -> Response:
        """One deployment."""
        return JSONResponse(self._show(request, self._deployment(request)))

    async def statuses(self, request: Request) -> Response:
        """What became of a deployment, newest first."""
        deployment = self._deployment(request)
        return page(request, deployment.statuses[::-1], partial(self._show_status, deployment))

    async def add_status(self, request: Request) -> Response:
        """Report on a deployment. Success retires the older ones of its environment, unless that is declined."""
        deployment = self._deployment(request)
        body = await read_body(request, "DeploymentStatus")
        state = body.text("state")
        if state not in _STATES:
            raise invalid("DeploymentStatus", "state", "custom", f"{state or 'nil'} is not a valid state")
        deployment.environment = body.text("environment", deployment.environment)
        status = DeploymentStatus(
            id=self._repository.next_id(),
            state=state,
            description=body.text("description", most=_MAX_DESCRIPTION),
            environment=deployment.environment,
            environment_url=body.text("environment_url"),
            log_url=body.text("log_url") or body.text("target_url"),
            at=datetime.now(UTC),
        )
        deployment.statuses.append(status)
        if state == "success" and body.get("auto_inactive", bool, True):
            self._retire_others(deployment, status)
        return JSONResponse(self._show_status(deployment, request, status), 201)

    def _retire_others(self, deployment: GitHubDeployment, status: DeploymentStatus) -> None:
        for other in self._repository.deployments.values():
            retires = other.environment == deployment.environment and not other.is_transient and other is not deployment
            if retires and other.statuses and other.statuses[-1].state == "success":
                inactive = DeploymentStatus(self._repository.next_id(), "inactive", other.environment, status.at)
                other.statuses.append(inactive)

    def _deployment(self, request: Request) -> GitHubDeployment:
        deployment = self._repository.deployments.get(request.path_params["id"])
        if deployment is None:
            raise not_found()
        return deployment

    def _url(self, request: Request, deployment: GitHubDeployment) -> str:
        return f"{request.base_url}repos/{REPOSITORY}/deployments/{deployment.id}"

    def _show(self, request: Request, deployment: GitHubDeployment) -> dict[str, Json]:
        url = self._url(request, deployment)
        updated = deployment.statuses[-1].at if deployment.statuses else deployment.at
        payload = deployment.payload
        return {
            "id": deployment.id,
            "node_id": f"DE_{deployment.id}",
            "url": url,
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": payload if isinstance(payload, str | dict) else {},
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description or None,
            "creator": user(self._login),
            "created_at": iso(deployment.at),
            "updated_at": iso(updated),
            "statuses_url": f"{url}/statuses",
            "repository_url": url.rpartition("/deployments/")[0],
            "transient_environment": deployment.is_transient,
            "production_environment": deployment.is_production,
        }

    def _show_status(self, deployment: GitHubDeployment, request: Request, status: DeploymentStatus) -> dict[str, Json]:
        url = self._url(request, deployment)
        return {
            "id": status.id,
            "node_id": f"DES_{status.id}",
            "url": f"{url}/statuses/{status.id}",
            "state": status.state,
            "creator": user(self._login),
            "description": status.description,
            "environment": status.environment,
            "environment_url": status.environment_url,
            "log_url": status.log_url,
            "target_url": status.log_url,
            "created_at": iso(status.at),
            "updated_at": iso(status.at),
            "deployment_url": url,
            "repository_url": url.rpartition("/deployments/")[0],
        }
