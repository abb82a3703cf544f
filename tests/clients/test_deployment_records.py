"""Sentry's release and deploy, and GitHub's deployment status: recorded once, however often it is asked for."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from benchmarks import web
from tests.clients.hostile import Conversation, hostile
from verification.clients.github.client import DeploymentState, GitHub
from verification.clients.sentry.client import Sentry
from verification.clients.web_api import System, WebApi
from verification.errors import NotPermitted, ObserverError
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.observers import GitHubSettings, SentrySettings

NOW = datetime.now(UTC)


def deploy(sandbox: Sandbox, version: str, name: str, token: str | None = None) -> bool:
    there = sandbox.addresses.sentry
    settings = SentrySettings(url=there.url, organization=there.organization, project=there.project)
    variables = {"SENTRY_AUTH_TOKEN": token or there.token}
    with closing(Sentry(settings, variables, "project:releases and org:read")) as sentry:
        return sentry.record_deploy(version, "production", name, NOW - timedelta(minutes=8), NOW)


def status(sandbox: Sandbox, commit: str, state: DeploymentState, description: str) -> bool:
    there = sandbox.addresses.github
    settings = GitHubSettings(url=there.url, repository=there.repository, workflow="Deploy to Production")
    with closing(GitHub(settings, {"GITHUB_TOKEN": there.token})) as github:
        return github.record_deployment(commit, "production", state, description)


def test_sentry_knows_of_each_deploy_once(sandbox: Sandbox) -> None:
    version = f"backend@{uuid4().hex}"
    assert [deploy(sandbox, version, "b") for _ in range(2)] == [True, False]
    assert deploy(sandbox, version, "c"), "the same release deployed anew"
    there = sandbox.addresses.sentry
    url = f"{there.url}/api/0/organizations/{there.organization}/releases/{version}/deploys/"
    found = web.get(url, headers={"Authorization": f"Bearer {there.token}"}).json()
    assert [one["name"] for one in found] == ["c", "b"]


def test_a_token_that_may_not_write_releases_is_told_what_it_lacks(sandbox: Sandbox) -> None:
    sentry = web.get(sandbox.addresses.operator).json()["sentry"]
    with pytest.raises(NotPermitted) as caught:
        deploy(sandbox, "v", "b", token=sentry["token_without_scope"])
    assert "project:releases" in caught.value.remedy


def test_github_has_each_status_once_on_one_deployment(sandbox: Sandbox) -> None:
    commit = uuid4().hex + "0" * 8
    assert [status(sandbox, commit, "success", "b: good") for _ in range(2)] == [True, False]
    assert status(sandbox, commit, "failure", "b: rolled back")
    there = sandbox.addresses.github
    found = web.get(
        f"{there.url}/repos/{there.repository}/deployments",
        params={"sha": commit},
        headers={"Authorization": f"Bearer {there.token}"},
    ).json()
    assert len(found) == 1


def test_a_post_that_failed_is_never_repeated() -> None:
    with hostile(lambda one: one.answer(b"", "503 Service Unavailable")) as server:
        api = WebApi(System("Tower", server.url, "TOWER_TOKEN", "the scope"), "tok-5f0c1e7a9b", 5)
        with pytest.raises(ObserverError, match="Tower POST /things: status 503"):
            api.post("/things", {"name": "x"})
        api.close()
        assert len(server.requests) == 1
        assert server.requests[0].startswith("POST /things ")


def test_what_github_answers_without_a_shape_is_no_deployment(sandbox: Sandbox) -> None:
    def script(one: Conversation) -> None:
        one.answer(b'{"message": "odd"}')

    with hostile(script) as server:
        settings = GitHubSettings(url=server.url, repository="a/b", workflow="Deploy")
        with pytest.raises(ObserverError, match="unexpected shape"):
            GitHub(settings, {"GITHUB_TOKEN": "t" * 9}).record_deployment("c", "e", "success", "")
