"""GitHub's issues: list, read, open, change, comment on, label."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.github.http import GitHubRefusal, invalid, page, read_body
from sandbox.github.model import REPOSITORY, Comment, Issue, Label
from sandbox.vendor_api import iso

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.github.model import Repository
    from sandbox.vendor_api import Json

Answer = tuple["Json", dict[str, str], int]  # body, headers, status
MAX_BODY = 65_536  # characters of an issue or a comment
_WEB = f"https://github.com/{REPOSITORY}"
_ORDERS = ("created", "updated", "comments")


class GitHubIssues:
    """The endpoints over one repository; `login` is who the tokens belong to. All raise GitHubRefusal."""

    def __init__(self, repository: Repository, login: str) -> None:
        self._repository = repository
        self._login = login

    async def listing(self, request: Request) -> Answer:
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
        since = _since(asked.get("since", ""))
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
        shown, headers = page(request, found, lambda issue: self.show(request, issue))
        return shown, headers, 200

    async def create(self, request: Request) -> Answer:
        """Open an issue. Labels that nobody has used yet come into being."""
        body = await read_body(request, "Issue")
        if not (title := body.get("title", str, "")):
            raise GitHubRefusal(422, 'Invalid request.\n\n"title" wasn\'t supplied.')
        text = _checked(body.get("body", str, ""), "Issue")
        issue = self._repository.add_issue(title, body.texts("labels") or [], body=text, author=self._login)
        shown = self.show(request, issue)
        return shown, {"Location": _url(request, issue)}, 201

    async def read(self, request: Request) -> Answer:
        """One issue."""
        return self.show(request, self._issue(request)), {}, 200

    async def change(self, request: Request) -> Answer:
        """Change what is given and leave the rest."""
        issue = self._issue(request)
        body = await read_body(request, "Issue")
        state = body.get("state", str, issue.state)
        if state not in {"open", "closed"}:
            raise invalid("Issue", "state")
        labels = body.texts("labels")
        issue.title = body.get("title", str, issue.title)
        issue.body = _checked(body.get("body", str, issue.body), "Issue")
        if labels is not None:
            issue.labels = self._names(labels)
        issue.set_state("closed" if state == "closed" else "open", body.get("state_reason", str, "") or None)
        return self.show(request, issue), {}, 200

    async def comments(self, request: Request) -> Answer:
        """The comments on an issue, oldest first."""
        issue = self._issue(request)
        shown, headers = page(request, issue.comments, lambda comment: self._show_comment(request, issue, comment))
        return shown, headers, 200

    async def comment(self, request: Request) -> Answer:
        """Comment on an issue."""
        issue = self._issue(request)
        body = await read_body(request, "IssueComment")
        if not (text := body.get("body", str, "")):
            raise invalid("IssueComment", "body", "missing_field")
        issue.updated = datetime.now(UTC)
        comment = Comment(self._repository.next_id(), self._login, _checked(text, "IssueComment"), issue.updated)
        issue.comments.append(comment)
        return self._show_comment(request, issue, comment), {}, 201

    async def add_labels(self, request: Request) -> Answer:
        """Add labels to those that an issue has."""
        issue = self._issue(request)
        labels = (await read_body(request, "Label")).texts("labels")
        if labels is None:
            raise invalid("Label", "labels", "missing_field")
        issue.labels = self._names([*issue.labels, *labels])
        issue.updated = datetime.now(UTC)
        return [self._show_label(self._repository.label(name)) for name in issue.labels], {}, 200

    async def remove_label(self, request: Request) -> Answer:
        """Take a label off an issue."""
        issue = self._issue(request)
        wanted = request.path_params["label"].lower()
        if wanted not in {name.lower() for name in issue.labels}:
            raise GitHubRefusal(404, "Label does not exist")
        issue.labels = [name for name in issue.labels if name.lower() != wanted]
        return [self._show_label(self._repository.label(name)) for name in issue.labels], {}, 200

    async def labels(self, request: Request) -> Answer:
        """The labels of the repository."""
        shown, headers = page(request, [*self._repository.labels.values()], self._show_label)
        return shown, headers, 200

    def show(self, request: Request, issue: Issue) -> dict[str, Json]:
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
            "labels": [self._show_label(self._repository.label(name)) for name in issue.labels],
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

    def _issue(self, request: Request) -> Issue:
        issue = self._repository.issues.get(request.path_params["number"])
        if issue is None:
            raise GitHubRefusal(404, "Not Found")
        return issue

    def _names(self, labels: Iterable[str]) -> list[str]:
        return [*dict.fromkeys(self._repository.label(name).name for name in labels)]

    def _show_label(self, label: Label) -> dict[str, Json]:
        return {
            "id": 3_000_000_000 + [*self._repository.labels].index(label.name.lower()),
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": label.description or None,
        }

    def _show_comment(self, request: Request, issue: Issue, comment: Comment) -> dict[str, Json]:
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


def _url(request: Request, issue: Issue) -> str:
    return f"{request.base_url}repos/{REPOSITORY}/issues/{issue.number}"


def _checked(text: str, resource: str) -> str:
    if len(text) > MAX_BODY:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
    return text


def _since(text: str) -> datetime | None:
    if not text:
        return None
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Issue", "since") from None
    return since if since.tzinfo else since.replace(tzinfo=UTC)
