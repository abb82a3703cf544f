"""Sentry's releases and their deploys (https://docs.sentry.io/api/releases/): written once, looked up first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import quote

from pydantic import BaseModel

from verification.clients.web_api import System, WebApi, token_of
from verification.settings.observers import Sentry as SentrySettings


class _Deploy(BaseModel):
    environment: str
    name: str | None = None


def record_deploy(
    settings: SentrySettings,
    variables: Mapping[str, str],
    *,
    version: str,
    environment: str,
    name: str,
    started: dt.datetime,
    finished: dt.datetime,
) -> bool:
    """Record that the release `version` was deployed as `name`; False where that is recorded already.

    Raises ObserverError, NotPermitted.
    """
    system = System("Sentry", f"{settings.url}/api/0", "SENTRY_AUTH_TOKEN", "the scopes project:releases and org:read")
    releases = f"/organizations/{settings.organization}/releases/"
    deploys = f"{releases}{quote(version, safe='')}/deploys/"
    with closing(WebApi(system, token_of(variables, system), settings.timeout)) as api:
        # Creating one that is there changes nothing: Sentry answers 208. Its deploys are not told apart so.
        api.post(releases, {"version": version, "projects": [settings.project]})
        for page in api.pages(deploys, {}):
            if any((deploy.environment, deploy.name) == (environment, name) for deploy in page.read(list[_Deploy])):
                return False
        body = {"environment": environment, "name": name, "dateStarted": _utc(started), "dateFinished": _utc(finished)}
        api.post(deploys, body)
    return True


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
