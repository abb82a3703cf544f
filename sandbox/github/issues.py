"""GitHub's issues: list, read, open, change, comment on, label."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from sandbox.github.http import GitHubRefusal, asked_moment, invalid, not_found, page, read_body
from sandbox.github.model import REPOSITORY, GitHubIssue, IssueComment, Label
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

_MAX_BODY = 65_536  # characters of an issue or a comment
_WEB = f"https://github.com/{REPOSITORY}"
_ORDERS = ("created", "updated", "comments")


class GitHubIssueEndpoints:
    """The endpoints over one repository; `login` is who the tokens belong to. All raise GitHubRefusal."""

    def __init__(self, repository: Repository, login: str) -> None:
        self._repository = repository
        self._login = login

    async def listing(self, request: Request) -> Response:
        """Issues and pull requests that have all of the labels, newest first."""
        asked = request.query_params
        state, order, direction = asked.get("state", "open"), asked.get("sort", "created"), asked.get("direction")
        for field, value, allowed in (
            ("state", state, ("open", "closed", "all")),
            ("sort", order, _ORDERS),
            ("direction", direction or "desc", ("asc", "desc")),
        ):
            if value not in allowed:
                raise invalid("Issue", field)
        since = asked_moment(asked["since"], invalid("Issue", "since")) if asked.get("since") else None
        labels = {name.strip().lower() for name in asked.get("labels", "").split(",")} - {""}
        found = [
            issue
            for issue in self._repository.issues.values()
            if state in {issue.state, "all"}
            and labels <= {name.lower() for name in issue.labels}
            and (since is None or issue.updated >= since)
        ]
        keys = {
            "created": lambda issue: (issue.created, issue.number),
            "updated": lambda issue: (issue.updated, issue.number),
            "comments": lambda issue: (len(issue.comments), issue.number),
        }
        found.sort(key=keys[order], reverse=direction != "asc")
        return page(request, found, self._show)

    async def create(self, request: Request) -> Response:
        """Open an issue. Labels that nobody has used yet come into being."""
        body = await read_body(request, "Issue")
        if not (title := body.text("title")):
            raise GitHubRefusal(422, 'Invalid request.\n\n"title" wasn\'t supplied.')
        text = body.text("body", most=_MAX_BODY)
        issue = self._repository.add_issue(title, body.texts("labels") or [], body=text, author=self._login)
        return JSONResponse(self._show(request, issue), 201, {"Location": _url(request, issue)})

    async def read(self, request: Request) -> Response:
        """One issue."""
        return JSONResponse(self._show(request, self._issue(request)))

    async def change(self, request: Request) -> Response:
        """Change what is given and leave the rest."""
        issue = self._issue(request)
        body = await read_body(request, "Issue")
        state = body.text("state", issue.state)
        if state not in {"open", "closed"}:
            raise invalid("Issue", "state")
        labels = body.texts("labels")
        issue.title = body.text("title", issue.title)
        issue.body = body.text("body", issue.body, most=_MAX_BODY)
        if labels is not None:
            issue.labels = self._names(labels)
        issue.set_state("closed" if state == "closed" else "open", body.text("state_reason") or None)
        return JSONResponse(self._show(request, issue))

    async def comments(self, request: Request) -> Response:
        """The comments on an issue, oldest first."""
        issue = self._issue(request)
        return page(request, issue.comments, partial(self._show_comment, issue))

    async def comment(self, request: Request) -> Response:
        """Comment on an issue."""
        issue = self._issue(request)
        body = await read_body(request, "IssueComment")
        text = body.text("body", most=_MAX_BODY, required=True)
        issue.updated = datetime.now(UTC)
        comment = IssueComment(self._repository.next_id(), self._login, text, issue.updated)
        issue.comments.append(comment)
        return JSONResponse(self._show_comment(issue, request, comment), 201)

    async def change_comment(self, request: Request) -> Response:
        """Change a comment, whatever issue it is on."""
        body = await read_body(request, "IssueComment")
        text = body.text("body", most=_MAX_BODY, required=True)
        for issue in self._repository.issues.values():
            for comment in issue.comments:
                if comment.id == request.path_params["id"]:
                    comment.body = text
                    return JSONResponse(self._show_comment(issue, request, comment))
        raise not_found()

    async def add_labels(self, request: Request) -> Response:
        """Add labels to those that an issue has."""
        issue = self._issue(request)
        labels = (await read_body(request, "Label")).texts("labels")
        if labels is None:
            raise invalid("Label", "labels", "missing_field")
        issue.labels = self._names([*issue.labels, *labels])
        issue.updated = datetime.now(UTC)
        return JSONResponse(self._labels_of(request, issue))

    async def remove_label(self, request: Request) -> Response:
        """Take a label off an issue."""
        issue = self._issue(request)
        wanted = request.path_params["label"].lower()
        if wanted not in {name.lower() for name in issue.labels}:
            raise GitHubRefusal(404, "Label does not exist")
        issue.labels = [name for name in issue.labels if name.lower() != wanted]
        return JSONResponse(self._labels_of(request, issue))

    async def labels(self, request: Request) -> Response:
        """The labels of the repository."""
        return page(request, [*self._repository.labels.values()], self._show_label)

    def _show(self, request: Request, issue: GitHubIssue) -> dict[str, Json]:
        """An issue as JSON. A pull request is told by its field `pull_request` alone."""
        url = _url(request, issue)
        kind = "pull" if issue.is_pull_request else "issues"
        shown: dict[str, Json] = {
            "id": 1_000_000_000 + issue.number,
            "node_id": f"I_{issue.number:08}",
            "number": issue.number,
            "title": issue.title,
            "body": issue.body or None,
            "user": user(issue.author),
            "labels": self._labels_of(request, issue),
            "state": issue.state,
            "state_reason": issue.state_reason,
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(issue.comments),
            "created_at": iso(issue.created),
            "updated_at": iso(issue.updated),
            "closed_at": iso(issue.closed) if issue.closed else None,
            "author_association": "MEMBER",
            "url": url,
            "repository_url": url.rpartition("/issues/")[0],
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "html_url": f"{_WEB}/{kind}/{issue.number}",
        }
        if issue.is_pull_request:
            shown["draft"] = False
            shown["pull_request"] = {
                "url": url.replace("/issues/", "/pulls/"),
                "html_url": shown["html_url"],
                "merged_at": None,
            }
        return shown

    def _issue(self, request: Request) -> GitHubIssue:
        issue = self._repository.issues.get(request.path_params["number"])
        if issue is None:
            raise not_found()
        return issue

    def _names(self, labels: Iterable[str]) -> list[str]:
        return [*dict.fromkeys(self._repository.label(name).name for name in labels)]

    def _labels_of(self, request: Request, issue: GitHubIssue) -> list[Json]:
        return [self._show_label(request, self._repository.label(name)) for name in issue.labels]

    def _show_label(self, _request: Request, label: Label) -> dict[str, Json]:
        return {
            "id": 3_000_000_000 + [*self._repository.labels].index(label.name.lower()),
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": label.description or None,
        }

    def _show_comment(self, issue: GitHubIssue, request: Request, comment: IssueComment) -> dict[str, Json]:
        return {
            "id": comment.id,
            "body": comment.body,
            "user": user(comment.author),
            "created_at": iso(comment.at),
            "updated_at": iso(comment.at),
            "issue_url": _url(request, issue),
            "html_url": f"{_WEB}/issues/{issue.number}#issuecomment-{comment.id}",
        }


def user(login: str) -> dict[str, Json]:
    """Who did something."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "type": kind, "site_admin": False, "html_url": f"https://github.com/{login}"}


def _url(request: Request, issue: GitHubIssue) -> str:
    return f"{request.base_url}repos/{REPOSITORY}/issues/{issue.number}"
