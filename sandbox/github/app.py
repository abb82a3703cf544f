"""GitHub's REST API, as its clients know it, for one private repository."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.github.actions import GitHubActionsEndpoints
from sandbox.github.deployments import GitHubDeploymentEndpoints
from sandbox.github.http import GitHubRefusal, not_found
from sandbox.github.issues import GitHubIssueEndpoints, user
from sandbox.github.model import MAIN, REPOSITORY, Repository, seed_repository
from sandbox.github.releases import GitHubReleaseEndpoints
from sandbox.vendor_api import RateLimit, VendorApp

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.runs import DeployRunner
    from sandbox.vendor_api import Json

Endpoint = Callable[["Request"], Awaitable[Response]]

_LOGIN = "bayit-deployments[bot]"
_PER_HOUR = 5000
_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_PRIMARY = f"API rate limit exceeded for user {_LOGIN}."


class GitHubApp(VendorApp):
    """The ASGI application. `faults` are those in force: github-down."""

    def __init__(self, faults: AbstractSet[str], runner: DeployRunner) -> None:
        self.repository = Repository()
        seed_repository(self.repository)
        self.rate_limit = RateLimit()
        self.token, self.token_without_scope = _token(), _token()  # the second may read, and nothing else
        self._used = 0
        self._reset = int(time.time()) + 3600
        issues = GitHubIssueEndpoints(self.repository, _LOGIN)
        deployments = GitHubDeploymentEndpoints(self.repository, _LOGIN)
        actions = GitHubActionsEndpoints(self.repository, _LOGIN, runner)
        releases = GitHubReleaseEndpoints(self.repository, _LOGIN)
        routes = [
            Route("/rate_limit", self._rate_limit, methods=["GET"]),
            self._route("", GET=self._repository),
            self._route("/issues", GET=issues.listing, POST=issues.create),
            self._route("/issues/{number:int}", GET=issues.read, PATCH=issues.change),
            self._route("/issues/{number:int}/comments", GET=issues.comments, POST=issues.comment),
            self._route("/issues/{number:int}/labels", POST=issues.add_labels),
            self._route("/issues/{number:int}/labels/{label}", DELETE=issues.remove_label),
            self._route("/issues/comments/{id:int}", PATCH=issues.change_comment),
            self._route("/releases", GET=releases.listing, POST=releases.create),
            self._route("/releases/{id:int}", PATCH=releases.change),
            self._route("/releases/{id:int}/assets", GET=releases.assets, POST=releases.upload),
            self._route("/releases/assets/{id:int}", DELETE=releases.remove_asset),
            self._route("/releases/tags/{tag:path}", GET=releases.by_tag),
            self._route("/labels", GET=issues.labels),
            self._route("/deployments", GET=deployments.listing, POST=deployments.create),
            self._route("/deployments/{id:int}", GET=deployments.read),
            self._route("/deployments/{id:int}/statuses", GET=deployments.statuses, POST=deployments.add_status),
            self._route("/actions/workflows", GET=actions.workflows),
            self._route("/actions/workflows/{workflow}", GET=actions.workflow),
            self._route("/actions/workflows/{workflow}/dispatches", POST=actions.dispatch),
            self._route("/actions/workflows/{workflow}/runs", GET=actions.listing),
            self._route("/actions/runs", GET=actions.listing),
            self._route("/actions/runs/{id:int}", GET=actions.read),
            self._route("/actions/runs/{id:int}/jobs", GET=actions.jobs),
            self._route("/actions/runs/{id:int}/cancel", POST=actions.cancel),
            self._route("/actions/runs/{id:int}/logs", GET=actions.logs),
            Route("/_logs/{id:int}", actions.archive, methods=["GET"]),
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
        try:
            self._authenticate(request)
            self._count()
            asked = f"{request.path_params['owner']}/{request.path_params['name']}"
            if asked.lower() != REPOSITORY.lower() or _presented(request) is None:
                raise not_found()  # to a stranger a private repository does not exist
            if request.method not in {"GET", "HEAD"} and _presented(request) != self.token:
                raise GitHubRefusal(403, "Resource not accessible by personal access token")
            response = await endpoint(request)
        except GitHubRefusal as refusal:
            response = refusal.response()
        for name, value in self._limits().items():
            response.headers.setdefault(name, value)
        return response

    def _authenticate(self, request: Request) -> None:
        presented = _presented(request)
        if presented is None and request.method not in {"GET", "HEAD"}:
            raise GitHubRefusal(401, "Requires authentication")
        if presented is not None and presented not in {self.token, self.token_without_scope}:
            raise GitHubRefusal(401, "Bad credentials")

    def _count(self) -> None:
        """Count a request, unless a rate limit refuses it. Raises GitHubRefusal."""
        if time.time() >= self._reset:
            self._used, self._reset = 0, int(time.time()) + 3600
        if not self.rate_limit.take():
            self._used += 1
            return
        if self.rate_limit.kind == "primary":
            reset = str(int(time.time()) + self.rate_limit.retry_after)
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
            raise GitHubRefusal(self.rate_limit.status, _PRIMARY, headers=headers)
        wait = {"Retry-After": str(self.rate_limit.retry_after)}
        raise GitHubRefusal(self.rate_limit.status, _SECONDARY, headers=wait)

    def _limits(self) -> dict[str, str]:
        return {
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": secrets.token_hex(8).upper(),
            "X-RateLimit-Limit": str(_PER_HOUR),
            "X-RateLimit-Remaining": str(max(0, _PER_HOUR - self._used)),
            "X-RateLimit-Reset": str(self._reset),
            "X-RateLimit-Resource": "core",
            "X-RateLimit-Used": str(self._used),
        }

    async def _rate_limit(self, request: Request) -> Response:
        """How many requests are left. Asking costs none."""
        try:
            self._authenticate(request)
        except GitHubRefusal as refusal:
            return refusal.response()
        used, reset = self._used, self._reset
        rate: dict[str, Json] = {"limit": _PER_HOUR, "used": used, "remaining": _PER_HOUR - used, "reset": reset}
        return JSONResponse({"resources": {"core": rate}, "rate": rate}, headers=self._limits())

    async def _repository(self, request: Request) -> Response:
        owner, _, name = REPOSITORY.partition("/")
        may_write = _presented(request) == self.token
        open_issues = sum(issue.state == "open" for issue in self.repository.issues.values())
        return JSONResponse(
            {
                "id": 700_000_001,
                "name": name,
                "full_name": REPOSITORY,
                "owner": user(owner) | {"type": "Organization"},
                "private": True,
                "visibility": "private",
                "html_url": f"https://github.com/{REPOSITORY}",
                "url": f"{request.base_url}repos/{REPOSITORY}",
                "default_branch": MAIN,
                "archived": False,
                "disabled": False,
                "has_issues": True,
                "open_issues_count": open_issues,
                "permissions": {
                    "admin": False,
                    "maintain": False,
                    "push": may_write,
                    "triage": may_write,
                    "pull": True,
                },
            }
        )


def _presented(request: Request) -> str | None:
    """The token that came with a request, if one came."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in {"bearer", "token"} else None


def _token() -> str:
    return f"github_pat_{secrets.token_hex(41)}"
