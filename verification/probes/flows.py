"""Probes of the critical user flows: what a user does, with the smoke account."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

import pytest

from verification import checks as rules
from verification.checks import Login, credentials, login_of, refused_login_of
from verification.errors import NotAsked
from verification.probe import Probes, asked_once, probe
from verification.probes.health import given
from verification.settings.model import Settings
from verification.settings.service import ListFlow
from verification.verdict import Measurement

if TYPE_CHECKING:
    from verification.clients.service.answer import Answer, Listing
    from verification.clients.service.client import Service


@dataclass(frozen=True, slots=True)
class Playback:
    """The first bytes of the listed content's media."""

    listed: Measurement
    media: tuple[Answer, ...]

    @property
    def is_no_good(self) -> bool:
        """Whether one of them is no answer at all, or an error of the service's."""
        return any(answer.is_no_good for answer in self.media)


@pytest.fixture(scope="session")
def checks() -> ModuleType:
    """The rules of verification/checks.py: what a good answer is, for criteria, watch and rollback alike."""
    return rules


@probe
def login(service: Service, settings: Settings, variables: dict[str, str]) -> Login:
    """Log in with the smoke account."""
    flow = given(settings.flows.login, "flows.login")
    return login_of(service.post(flow.path, credentials(flow, variables)), flow)


@probe
@asked_once
def refused_login(service: Service, settings: Settings, variables: dict[str, str], login: Login) -> Answer:  # noqa: ARG001
    """Try a wrong password for the smoke account, once, and only when a login has shown that the start is finished."""
    flow = given(settings.flows.login, "flows.login")
    wrong = {flow.password_field: f"wrong-{secrets.token_hex(8)}"}
    answer = service.post(flow.path, {**credentials(flow, variables), **wrong}, repeatable=False)
    return refused_login_of(answer, flow)


@probe
def content_listing(service: Service, settings: Settings, probes: Probes) -> Listing:
    """List content."""
    return _list(service, given(settings.flows.content_listing, "flows.content_listing"), probes)


@probe
def search(service: Service, settings: Settings, probes: Probes) -> Listing:
    """Search for something."""
    return _list(service, given(settings.flows.search, "flows.search"), probes)


@probe
def video_playback(service: Service, settings: Settings, content_listing: Listing) -> Playback:
    """Fetch the first bytes of what the listing offers to play. Raises NotAsked when there is no listing."""
    flow = given(settings.flows.video_playback, "flows.video_playback")
    if content_listing.problem is not None:
        raise NotAsked("no playback address to try: content_listing gave none", "Look at content_listing first.")
    addresses = content_listing.texts(flow.url_field)[: flow.sample]
    listed = Measurement("playback addresses", len(addresses), source=content_listing.answer.question)
    with ThreadPoolExecutor(flow.sample) as pool:
        return Playback(listed, tuple(pool.map(service.first_bytes, addresses)))


def _list(service: Service, flow: ListFlow, probes: Probes) -> Listing:
    token = cast(Login, probes.result("login")).token if flow.signed_in else ""
    if flow.signed_in and not token:
        raise NotAsked(f"{flow.path} needs a user who is logged in, and login gave no token", "Look at login first.")
    return service.get(flow.path, token=token).listing(flow)
