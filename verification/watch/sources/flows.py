"""The users' flows, as functions that go through one once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from verification.checks import login_of, must_be_listed, must_be_logged_in
from verification.errors import NotAsked
from verification.settings.loading import secret
from verification.settings.service import Flows, ListFlow, LoginFlow

if TYPE_CHECKING:
    from verification.clients.service.answer import Answer
    from verification.clients.service.client import Service
    from verification.watch.sources.questions import Flow


class UserFlows:
    """The flows that `settings` describe, for a user who logs in anew each round."""

    def __init__(self, service: Service, flows: Flows, variables: Mapping[str, str]) -> None:
        self._service, self._flows, self._variables = service, flows, variables
        self._token = ""

    def by_name(self) -> dict[str, Flow]:
        """Each flow by its name, the login first."""
        found: dict[str, Flow] = {}
        if login := self._flows.login:
            found["login"] = lambda: self._log_in(login)
        for name in ("content_listing", "search"):
            if flow := getattr(self._flows, name):
                found[name] = self._listing(flow)
        return found

    def _log_in(self, flow: LoginFlow) -> None:
        self._token = ""
        answer = self._service.post(flow.path, credentials(flow, self._variables), retry_503=False)
        login = login_of(answer, flow)
        must_be_logged_in(login)
        self._token = login.token

    def _listing(self, flow: ListFlow) -> Flow:
        def ask() -> None:
            if flow.signed_in and not self._token:
                raise NotAsked(f"{flow.path} needs a user who is logged in, and login gave no token")
            must_be_listed(self._asked(flow).listing(flow))

        return ask

    def _asked(self, flow: ListFlow) -> Answer:
        return self._service.get(flow.path, token=self._token if flow.signed_in else "", retry_503=False)


def credentials(flow: LoginFlow, variables: Mapping[str, str]) -> dict[str, str]:
    """The login's body, with its secrets. Raises SettingsError for one that is not set."""
    return {key: secret(value, f"flows.login.body.{key}", variables) for key, value in flow.body.items()}
