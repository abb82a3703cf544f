"""GitHub's deployments and their statuses (https://docs.github.com/rest/deployments): written once, looked up first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from verification.clients.github.client import HEADERS
from verification.clients.sentry.releases import RECORDED, RECORDED_BEFORE
from verification.clients.web_api import System, WebApi, token_of
from verification.settings.observers import GitHub

State = Literal["success", "failure"]
_LONGEST = 140


class _Deployment(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int


class _Status(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: str
    description: str | None = None


_DEPLOYMENT = TypeAdapter(_Deployment)
_DEPLOYMENTS = TypeAdapter(list[_Deployment])
_STATUSES = TypeAdapter(list[_Status])


def record_status(
    github: GitHub, variables: Mapping[str, str], *, commit: str, environment: str, state: State, description: str
) -> str:
    """Give the deployment of `commit` its status: RECORDED, or RECORDED_BEFORE where it has this one.

    The deploy workflow's own deployment is used where there is one, else one is made. Raises ObserverError.
    """
    system = System("GitHub", github.url, "GITHUB_TOKEN", f"write access to deployments of {github.repository}")
    path, text = f"/repos/{github.repository}/deployments", description[:_LONGEST]
    with closing(WebApi(system, token_of(variables, system), github.timeout, headers=HEADERS)) as api:
        asked = {"sha": commit, "environment": environment, "per_page": "1"}
        found = api.get(path, asked).read(_DEPLOYMENTS)  # the newest first
        number = found[0].id if found else _made(api, path, commit, environment)
        statuses = api.get(f"{path}/{number}/statuses", {"per_page": "100"}).read(_STATUSES)
        if any((one.state, one.description) == (state, text) for one in statuses):
            return RECORDED_BEFORE
        api.post(f"{path}/{number}/statuses", {"state": state, "description": text})
    return RECORDED


def _made(api: WebApi, path: str, commit: str, environment: str) -> int:
    wanted = {"ref": commit, "environment": environment, "auto_merge": False, "required_contexts": []}
    return api.post(path, wanted).read(_DEPLOYMENT).id
