"""GitHub's issues: list, open, comment on."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import WEB, GitHubRefusal, invalid, known, page, read_body, url, user
from sandbox.github.model import LOGIN, GitHubIssue, IssueComment
from sandbox.vendor_api import asked_moment, iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_MAX_BODY = 65_536  # characters of an issue or a comment


class GitHubIssueEndpoints:
    """The endpoints over one repository. All raise GitHubRefusal."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def listing(self, request: Request) -> Response:
        """Issues and pull requests that have all of the labels, newest first."""
        asked = request.query_params
        state = asked.get("state", "open")
        if state not in {"open", "closed", "all"}:
            raise invalid("Issue", "state")
        since = asked_moment(asked["since"], invalid("Issue", "since")) if asked.get("since") else None
        labels = {name.strip().lower() for name in asked.get("labels", "").split(",")} - {""}
        found = [
            issue
            for issue in self._repository.issues.values()
            if state in {issue.state, "all"}
            and labels <= {name.lower() for name in issue.labels}
            and (since is None or issue.updated >= since)
        ]
        found.sort(key=lambda issue: (issue.created, issue.number), reverse=True)
        return page(request, found, _show)

    async def create(self, request: Request) -> Response:
        """Open an issue. Labels that nobody has used yet come into being."""
        body = await read_body(request, "Issue")
        if not (title := body.text("title")):
            raise GitHubRefusal(422, 'Invalid request.\n\n"title" wasn\'t supplied.')
        labels: list[object] = body.get("labels", list, [])
        names = [name for name in labels if isinstance(name, str)]
        if len(names) != len(labels):
            raise invalid("Issue", "labels")
        issue = self._repository.add_issue(title, names, body=body.text("body", most=_MAX_BODY), author=LOGIN)
        return JSONResponse(_show(request, issue), 201, {"Location": _url(request, issue)})

    async def comments(self, request: Request) -> Response:
        """The comments on an issue, oldest first."""
        issue = self._issue(request)
        return page(request, issue.comments, partial(_show_comment, issue))

    async def comment(self, request: Request) -> Response:
        """Comment on an issue."""
        issue = self._issue(request)
        text = await _comment_text(request)
        issue.updated = datetime.now(UTC)
        comment = IssueComment(self._repository.next_id(), LOGIN, text, issue.updated)
        issue.comments.append(comment)
        return JSONResponse(_show_comment(issue, request, comment), 201)

    async def change_comment(self, request: Request) -> Response:
        """Change a comment, whatever issue it is on."""
        text = await _comment_text(request)
        every = ((issue, comment) for issue in self._repository.issues.values() for comment in issue.comments)
        wanted = request.path_params["id"]
        issue, comment = known(next((pair for pair in every if pair[1].id == wanted), None))
        comment.body = text
        return JSONResponse(_show_comment(issue, request, comment))

    def _issue(self, request: Request) -> GitHubIssue:
        return known(self._repository.issues.get(request.path_params["number"]))


async def _comment_text(request: Request) -> str:
    return (await read_body(request, "IssueComment")).text("body", most=_MAX_BODY, required=True)


def _show(request: Request, issue: GitHubIssue) -> dict[str, Json]:
    """An issue as JSON. A pull request is told by its field `pull_request` alone."""
    path = _url(request, issue)
    labels: list[Json] = [{"name": name} for name in issue.labels]
    shown: dict[str, Json] = {
        "id": 1_000_000_000 + issue.number,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or None,
        "user": user(issue.author),
        "labels": labels,
        "state": issue.state,
        "comments": len(issue.comments),
        "created_at": iso(issue.created),
        "updated_at": iso(issue.updated),
        "closed_at": iso(issue.closed) if issue.closed else None,
        "url": path,
        "comments_url": f"{path}/comments",
        "html_url": f"{WEB}/{'pull' if issue.is_pull_request else 'issues'}/{issue.number}",
    }
    if issue.is_pull_request:
        shown["pull_request"] = {"url": path.replace("/issues/", "/pulls/"), "html_url": shown["html_url"]}
    return shown


def _show_comment(issue: GitHubIssue, request: Request, comment: IssueComment) -> dict[str, Json]:
    return {
        "id": comment.id,
        "body": comment.body,
        "user": user(comment.author),
        "created_at": iso(comment.at),
        "issue_url": _url(request, issue),
        "html_url": f"{WEB}/issues/{issue.number}#issuecomment-{comment.id}",
    }


def _url(request: Request, issue: GitHubIssue) -> str:
    return url(request, f"/issues/{issue.number}")
