"""A sandbox as its operator and its clients play it: releases, questions, traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from benchmarks import web
from tests.conftest import Address

DEADLINE_SECONDS = 20.0
LOGIN, CONTENT, SEARCH = "/api/v1/auth/login", "/api/v1/content", "/api/v1/search?q=news"
LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}


class Game:
    """One environment of a sandbox, played by its operator and a client of the service."""

    def __init__(self, address: Address, environment: str) -> None:
        self.address = address
        self.environment = environment
        self.entry: dict[str, Any] = address["environments"][environment]
        self.operator = web.Client(base_url=address["operator"], timeout=DEADLINE_SECONDS)
        self.service = web.Client(base_url=self.entry["url"], timeout=DEADLINE_SECONDS)
        self.name = f"projects/{address['project']}/locations/{address['region']}/services/{self.entry['service']}"
        self.admin = f"{address['cloud_run']['rest']}/v2/{self.name}"

    def release(self, *faults: str) -> dict[str, str]:
        response = self.operator.post("/release", json={"environment": self.environment, "faults": list(faults)})
        assert response.status_code == 200, response.text
        note: dict[str, str] = response.json()
        return note

    def login(self) -> httpx.Response:
        return self.service.post(LOGIN, json=self.address["smoke_user"])

    def deep(self) -> tuple[int, dict[str, Any]]:
        response = self.service.get("/health/deep")
        return response.status_code, response.json()

    def play(self) -> httpx.Response:
        items = self.service.get(CONTENT, params={"limit": 1}).json()["items"]
        return self.service.get(items[0]["stream_url"], headers={"Range": "bytes=0-99"})

    def shift(self, *targets: dict[str, Any]) -> None:
        """Move the traffic through Cloud Run's own API and wait until that is done."""
        response = web.patch(self.admin, params={"updateMask": "traffic"}, json={"traffic": list(targets)})
        assert response.status_code == 200, response.text
        operation = f"{self.address['cloud_run']['rest']}/v2/{response.json()['name']}"
        poll(lambda: web.get(operation).json().get("done"))

    def statuses(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = web.get(self.admin).json()["trafficStatuses"]
        return found


def poll(question: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not question():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def revision(name: str, percent: int, tag: str = "") -> dict[str, Any]:
    kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    return {"type": kind, "revision": name, "percent": percent} | ({"tag": tag} if tag else {})


def counts(game: Game) -> dict[tuple[str, str], int]:
    found = game.operator.get("/served", params={"environment": game.environment}).json()["counts"]
    return {(name, status): count for name, statuses in found.items() for status, count in statuses.items()}
