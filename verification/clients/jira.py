"""A report on a Jira issue: as an attachment and a comment (https://developer.atlassian.com/cloud/jira/platform/rest/v2)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import ExitStack

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.web_api import System, WebApi, token_of
from verification.clients.writing import Writer
from verification.redaction import register
from verification.settings.observers import Jira as JiraSettings

MOST = 32_767  # characters of a comment
_PAGE = 100


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Comment(_Part):
    id: str
    body: str = ""


class _Comments(_Part):
    total: int
    comments: list[_Comment]


class _Attachment(_Part):
    id: str
    filename: str


class _Fields(_Part):
    attachment: list[_Attachment] = []


class _Issue(_Part):
    fields: _Fields


_COMMENTS, _ISSUE = TypeAdapter(_Comments), TypeAdapter(_Issue)


class Jira:
    """Where reports go in Jira. Each method raises ObserverError, NotPermitted."""

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
        self._open = ExitStack()
        self._api = WebApi(system, authorization, settings.timeout)
        self._open.callback(self._api.close)
        self._writer = Writer(system, {"Authorization": authorization}, settings.timeout)
        self._open.callback(self._writer.close)

    def close(self) -> None:
        """End all connections."""
        self._open.close()

    def attach(self, issue: str, name: str, report: bytes) -> None:
        """Put the report on the issue, in the place of an older one of that name."""
        path = f"/rest/api/2/issue/{issue}"
        found = self._api.get(path, {"fields": "attachment"}).read(_ISSUE)
        for one in found.fields.attachment:
            if one.filename == name:
                self._writer.delete(f"/rest/api/2/attachment/{one.id}")
        self._writer.file(f"{path}/attachments", name, report, "text/html", {"X-Atlassian-Token": "no-check"})

    def comment(self, issue: str, text: str, key: str) -> None:
        """Say `text` below the issue, as it stands: no markup takes effect. A second time changes the first comment."""
        path = f"/rest/api/2/issue/{issue}/comment"
        mark = f"deployment-verification {key}"
        inert = text.replace("{noformat", "{ noformat")[: MOST - len(mark) - 30]
        body = {"body": f"{{noformat}}\n{inert}\n{{noformat}}\n{mark}"}
        start = 0
        while True:
            page = self._api.get(path, {"startAt": str(start), "maxResults": str(_PAGE)}).read(_COMMENTS)
            for one in page.comments:
                if one.body.rstrip().endswith(mark):
                    self._writer.json("PUT", f"{path}/{one.id}", body)
                    return
            start += len(page.comments)
            if not page.comments or start >= page.total:
                break
        self._writer.json("POST", path, body)
