"""A report on a Jira issue: as an attachment and a comment (https://developer.atlassian.com/cloud/jira/platform/rest/v2)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pydantic import AliasPath, BaseModel, Field

from verification.clients.web_api import System, WebApi, token_of
from verification.redaction import register
from verification.settings.observers import JiraSettings

_MOST = 32_767  # characters of a comment
_PAGE = 100


class _JiraComment(BaseModel):
    id: str
    body: str = ""


class _JiraComments(BaseModel):
    total: int
    comments: list[_JiraComment]


class _Attachment(BaseModel):
    id: str
    filename: str


class _JiraIssue(BaseModel):
    attachments: list[_Attachment] = Field(validation_alias=AliasPath("fields", "attachment"))


class Jira:
    """Client of Jira that attaches and comments reports. Each method raises ObserverError, NotPermitted."""

    def __init__(self, settings: JiraSettings, variables: Mapping[str, str]) -> None:
        system = System(
            "Jira", settings.url, "JIRA_API_TOKEN", "and JIRA_EMAIL the right to comment and attach", scheme=""
        )
        token, email = token_of(variables, system), variables.get("JIRA_EMAIL", "").strip()
        authorization = f"Bearer {token}"
        if email:
            basic = base64.b64encode(f"{email}:{token}".encode()).decode()
            register(basic)
            authorization = f"Basic {basic}"
        self._api = WebApi(system, authorization, settings.timeout)

    def close(self) -> None:
        """End all connections."""
        self._api.close()

    def attach(self, issue: str, name: str, report: bytes) -> None:
        """Put the report on the issue, in the place of an older one of that name."""
        path = f"/rest/api/2/issue/{issue}"
        found = self._api.get(path, {"fields": "attachment"}).read(_JiraIssue)
        for attachment in found.attachments:
            if attachment.filename == name:
                self._api.write("DELETE", f"/rest/api/2/attachment/{attachment.id}")
        form = {"file": (name, report, "text/html")}
        self._api.write("POST", f"{path}/attachments", form=form, headers={"X-Atlassian-Token": "no-check"})

    def comment(self, issue: str, text: str, key: str) -> None:
        """Say `text` below the issue, as it stands: no markup takes effect. A second time changes the first comment."""
        path = f"/rest/api/2/issue/{issue}/comment"
        mark = f"deployment-verification {key}"
        inert = text.replace("{noformat", "{ noformat")[: _MOST - len(mark) - 30]
        body = {"body": f"{{noformat}}\n{inert}\n{{noformat}}\n{mark}"}
        start = 0
        while True:
            page = self._api.get(path, {"startAt": str(start), "maxResults": str(_PAGE)}).read(_JiraComments)
            for comment in page.comments:
                if comment.body.rstrip().endswith(mark):
                    self._api.write("PUT", f"{path}/{comment.id}", body)
                    return
            start += len(page.comments)
            if not page.comments or start >= page.total:
                break
        self._api.post(path, body)
