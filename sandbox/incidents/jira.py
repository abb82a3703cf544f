"""Jira: issues with comments and attachments, as its REST API (version 2) has them."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendor_api import Json, Refusal, VendorApp

if TYPE_CHECKING:
    from starlette.requests import Request

_EMAIL = "deployments@bayit.plus"
_MAX_COMMENT = 32_767


@dataclass(slots=True)
class JiraComment:
    """A comment on an issue."""

    id: str
    body: str


@dataclass(slots=True)
class JiraAttachment:
    """A file on an issue; names may repeat."""

    id: str
    name: str
    content: bytes


@dataclass(slots=True)
class JiraIssue:
    """An issue."""

    key: str
    summary: str
    comments: list[JiraComment] = field(default_factory=list)
    attachments: list[JiraAttachment] = field(default_factory=list)


class JiraApp(VendorApp):
    """The ASGI application."""

    def __init__(self) -> None:
        self.email, self.token = _EMAIL, secrets.token_urlsafe(24)
        self.issues = {"OPS-12": JiraIssue("OPS-12", "Deploy the next release")}
        self._last_id = 10_000
        path = "/rest/api/2/issue/{key}"
        super().__init__(
            [
                Route(path, self._read, methods=["GET"]),
                Route(f"{path}/comment", self._comments, methods=["GET"]),
                Route(f"{path}/comment", self._comment, methods=["POST"]),
                Route(f"{path}/comment/{{id}}", self._change, methods=["PUT"]),
                Route(f"{path}/attachments", self._attach, methods=["POST"]),
                Route("/rest/api/2/attachment/{id}", self._remove, methods=["DELETE"]),
            ]
        )

    def address(self, url: str) -> dict[str, str]:
        """The REST API, the name and the token of an account, and the issue that is there."""
        return {"url": url, "email": self.email, "token": self.token, "issue": next(iter(self.issues))}

    async def _read(self, request: Request) -> Response:
        issue = self._issue(request)
        attachments: list[Json] = [_attachment(attachment) for attachment in issue.attachments]
        return JSONResponse({"key": issue.key, "fields": {"summary": issue.summary, "attachment": attachments}})

    async def _comments(self, request: Request) -> Response:
        issue = self._issue(request)
        start, size = int(request.query_params.get("startAt", 0)), int(request.query_params.get("maxResults", 50))
        shown = [_shown(comment) for comment in issue.comments[start : start + size]]
        return JSONResponse({"startAt": start, "maxResults": size, "total": len(issue.comments), "comments": shown})

    async def _comment(self, request: Request) -> Response:
        issue = self._issue(request)
        comment = JiraComment(self._next_id(), _body(await request.json()))
        issue.comments.append(comment)
        return JSONResponse(_shown(comment), 201)

    async def _change(self, request: Request) -> Response:
        issue = self._issue(request)
        for comment in issue.comments:
            if comment.id == request.path_params["id"]:
                comment.body = _body(await request.json())
                return JSONResponse(_shown(comment))
        raise _refusal(404, "Can not find a comment for the id")

    async def _attach(self, request: Request) -> Response:
        issue = self._issue(request)
        if request.headers.get("x-atlassian-token") != "no-check":
            raise _refusal(403, "XSRF check failed")
        made = [
            JiraAttachment(self._next_id(), name, content)
            for name, content in _files(request.headers.get("content-type", ""), await request.body())
        ]
        if not made:
            raise _refusal(400, 'The part named "file" is missing')
        issue.attachments += made
        return JSONResponse([_attachment(attachment) for attachment in made])

    async def _remove(self, request: Request) -> Response:
        self._authenticate(request)
        for issue in self.issues.values():
            for attachment in issue.attachments:
                if attachment.id == request.path_params["id"]:
                    issue.attachments.remove(attachment)
                    return Response(status_code=204)
        raise _refusal(404, "The attachment with id was not found")

    def _issue(self, request: Request) -> JiraIssue:
        self._authenticate(request)
        issue = self.issues.get(request.path_params["key"].upper())
        if issue is None:
            raise _refusal(404, "Issue does not exist or you do not have permission to see it.")
        return issue

    def _authenticate(self, request: Request) -> None:
        expected = base64.b64encode(f"{self.email}:{self.token}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            raise _refusal(401, "You are not authenticated.")

    def _next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)


def _refusal(status: int, message: str) -> Refusal:
    return Refusal(status, {"errorMessages": [message], "errors": {}})


def _body(values: object) -> str:
    body = values.get("body") if isinstance(values, dict) else None
    if not isinstance(body, str) or not body.strip():
        raise _refusal(400, "Comment body can not be empty!")
    if len(body) > _MAX_COMMENT:
        raise _refusal(400, f"The entered text is too long. It exceeds the allowed limit of {_MAX_COMMENT}.")
    return body


def _files(kind: str, body: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the parts named "file" of a multipart form."""
    form = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    found = []
    for part in form.iter_parts() if form.is_multipart() else ():
        content = part.get_payload(decode=True)
        if part.get_param("name", header="content-disposition") == "file" and isinstance(content, bytes):
            found.append((part.get_filename() or "", content))
    return found


def _shown(comment: JiraComment) -> dict[str, Json]:
    return {"id": comment.id, "body": comment.body, "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000+0000}"}


def _attachment(attachment: JiraAttachment) -> dict[str, Json]:
    return {"id": attachment.id, "filename": attachment.name, "size": len(attachment.content), "mimeType": "text/html"}
