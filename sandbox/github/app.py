"""GitHub's REST API, as its clients know it, for one private repository."""

from __future__ import annotations

import secrets
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.github.actions import GitHubActionsEndpoints
from sandbox.github.deployments import GitHubDeploymentEndpoints
from sandbox.github.http import WEB, GitHubRefusal, not_found, url
from sandbox.github.issues import GitHubIssueEndpoints
from sandbox.github.model import MAIN, REPOSITORY, Repository, seed_repository
from sandbox.github.releases import GitHubReleaseEndpoints
from sandbox.vendor_api import Endpoint, RateLimit, VendorApp, bearer

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.runs import DeployRunner

_LIMITED = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


class GitHubApp(VendorApp):
    """The ASGI application. `faults` are those in force: github-down."""

    def __init__(self, faults: AbstractSet[str], runner: DeployRunner) -> None:
        self.repository = Repository()
        seed_repository(self.repository)
        self.rate_limit = RateLimit()
        self.token, self.token_without_scope = _token(), _token()  # the second may read, and nothing else
        issues = GitHubIssueEndpoints(self.repository)
        deployments = GitHubDeploymentEndpoints(self.repository)
        self.actions = actions = GitHubActionsEndpoints(self.repository, runner)
        releases = GitHubReleaseEndpoints(self.repository)
        routes = [
            self._route("", GET=self._repository),
            self._route("/issues", GET=issues.listing, POST=issues.create),
            self._route("/issues/{number:int}/comments", GET=issues.comments, POST=issues.comment),
            self._route("/issues/comments/{id:int}", PATCH=issues.change_comment),
            self._route("/releases/{id:int}", PATCH=releases.change),
            self._route("/releases/{id:int}/assets", POST=releases.upload),
            self._route("/releases/assets/{id:int}", DELETE=releases.remove_asset),
            self._route("/releases/tags/{tag:path}", GET=releases.by_tag),
            self._route("/deployments", GET=deployments.listing, POST=deployments.create),
            self._route("/deployments/{id:int}/statuses", GET=deployments.statuses, POST=deployments.add_status),
            self._route("/actions/workflows", GET=actions.workflows),
            self._route("/actions/workflows/{workflow}/dispatches", POST=actions.dispatch),
            self._route("/actions/workflows/{workflow}/runs", GET=actions.listing),
            self._route("/actions/runs/{id:int}", GET=actions.read),
            self._route("/actions/runs/{id:int}/jobs", GET=actions.jobs),
            self._route("/actions/runs/{id:int}/cancel", POST=actions.cancel),
        ]
        super().__init__(routes, not_found(), faults, "github-down")
        self.starlette.router.redirect_slashes = False  # a slash too many is not found

    def address(self, url: str) -> dict[str, str]:
        """The REST API, and owner/name of the one repository. The second token may read only."""
        tokens = {"token": self.token, "token_without_scope": self.token_without_scope}
        return {"url": url, **tokens, "repository": REPOSITORY}

    def _route(self, path: str, **endpoints: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            return await self._answer(request, endpoints["GET" if request.method == "HEAD" else request.method])

        return Route(f"/repos/{{owner}}/{{name}}{path}", answer, methods=[*endpoints])

    async def _answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Who is asking, not too often, of a repository that they may see and change? Then the answer."""
        token, reads = bearer(request), request.method in {"GET", "HEAD"}
        if not token and not reads:
            raise GitHubRefusal(401, "Requires authentication")
        if token not in {"", self.token, self.token_without_scope}:
            raise GitHubRefusal(401, "Bad credentials")
        if self.rate_limit.take():
            raise GitHubRefusal(403, _LIMITED, headers={"Retry-After": str(self.rate_limit.retry_after)})
        asked = f"{request.path_params['owner']}/{request.path_params['name']}"
        if asked.lower() != REPOSITORY.lower() or not token:
            raise not_found()  # to a stranger a private repository does not exist
        if not reads and token != self.token:
            raise GitHubRefusal(403, "Resource not accessible by personal access token")
        return await endpoint(request)

    async def _repository(self, request: Request) -> Response:
        return JSONResponse(
            {
                "full_name": REPOSITORY,
                "private": True,
                "html_url": WEB,
                "url": url(request),
                "default_branch": MAIN,
                "archived": False,
                "permissions": {"admin": False, "push": bearer(request) == self.token, "pull": True},
            }
        )


def _token() -> str:
    return f"github_pat_{secrets.token_hex(41)}"
