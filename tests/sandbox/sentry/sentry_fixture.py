"""A sandbox's Sentry as a client of its Web API sees it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from benchmarks import web
from tests.conftest import Address

DEADLINE_SECONDS = 20.0


class Viewer:
    """Asks Sentry, and the operator of the sandbox that it belongs to."""

    def __init__(self, address: Address, token: str | None = None) -> None:
        self.address = address
        sentry = address["sentry"]
        headers = {"Authorization": f"Bearer {token or sentry['token']}"}
        base = f"{sentry['url']}/api/0/organizations/{sentry['organization']}"
        self.http = web.Client(base_url=base, headers=headers, timeout=DEADLINE_SECONDS)
        self.operator = web.Client(base_url=address["operator"], timeout=DEADLINE_SECONDS)

    def ask(self, path: str, **parameters: Any) -> Any:
        response = self.http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def count(self, dataset: str, environment: str, query: str = "", **parameters: Any) -> int:
        now = datetime.now(UTC)
        span = {"start": (now - timedelta(days=1)).isoformat(), "end": now.isoformat()}
        found = self.ask(
            "/events/", dataset=dataset, field="count()", environment=environment, query=query, **(span | parameters)
        )
        number: int = found["data"][0]["count()"]
        return number

    def issues(self, query: str | None = None, **parameters: Any) -> list[dict[str, Any]]:
        asked = parameters | ({} if query is None else {"query": query})
        found: list[dict[str, Any]] = self.ask("/issues/", **asked)
        return found

    def titles(self, query: str | None = None, **parameters: Any) -> set[str]:
        return {issue["metadata"].get("type", issue["title"]) for issue in self.issues(query, **parameters)}

    def release(self, environment: str, *faults: str) -> dict[str, str]:
        order = {"environment": environment, "faults": list(faults), "commit": secrets.token_hex(20)}
        response = self.operator.post("/release", json=order)
        assert response.status_code == 200, response.text
        note: dict[str, str] = response.json()
        return note

    def visit(self, environment: str, path: str) -> httpx.Response:
        url = self.address["environments"][environment]["url"]
        return web.get(f"{url}{path}", timeout=DEADLINE_SECONDS)

    def in_force(self, *faults: str) -> None:
        assert self.operator.put("/faults", json={"faults": list(faults)}).status_code == 200


def poll(question: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not question():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)
