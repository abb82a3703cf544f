"""Several criteria fail at once: they are asked again side by side, and no longer than a certain failure leaves them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tests.clients.relay import relay_to
from tests.runs.conftest import Runner, World

SEARCH, CONTENT = "/api/v1/search", "/api/v1/content"
LONG = 10.0  # seconds that nobody waits for, unless the test fails


def test_what_fails_together_is_asked_again_together(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    again = {path: threading.Event() for path in (SEARCH, CONTENT)}
    asked: list[str] = []
    met: list[bool] = []

    def before(_: str, path: str) -> tuple[int, str] | None:
        path = path.partition("?")[0]
        if path not in again:
            return None
        first = path not in asked
        asked.append(path)
        if not first:
            again[path].set()
            (other,) = set(again) - {path}
            met.append(again[other].wait(LONG))  # one after the other, they would never meet
        return 500, "broken"

    with relay_to(world.url) as relay:
        relay.before = before
        file = production((world.url, relay.address), ('policy = "automatic"', 'policy = "manual"'))
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 1, ran.said
    assert (ran.of("search"), ran.of("content_listing")) == ("fail", "fail")
    assert met
    assert all(met)
    assert sorted(asked) == [CONTENT] * 3 + [SEARCH] * 3, "what was asked ahead is not asked once more"


def test_a_certain_failure_does_not_wait_for_what_is_slow_to_confirm(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    before_it = world.release("search-broken")["previous"]
    searched, ended = threading.Semaphore(0), threading.Event()
    listed: list[str] = []

    def before(_: str, path: str) -> tuple[int, str] | None:
        if path.startswith(SEARCH):
            searched.release()
        if not path.startswith(CONTENT) or ended.is_set():
            return None
        listed.append(path)
        if len(listed) == 1:
            assert all(searched.acquire(timeout=LONG) for _ in range(3)), "search was not asked again"
            return 500, "broken"
        ended.wait(60)
        return None

    with relay_to(world.url) as relay:
        relay.before = before
        changes = [('policy = "manual"', 'policy = "automatic"'), ('evidence_grace = "1s"', 'evidence_grace = "3s"')]
        file = production((world.url, relay.address), *changes)
        variables = {**account, "PREVIOUS_REVISION": before_it}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
        ended.set()
    assert ran.code == 1, ran.said
    assert (ran.of("search"), ran.of("content_listing")) == ("fail", "inconclusive"), ran.said
    (listing,) = (criterion for criterion in ran.verdict.criteria if criterion.id == "content_listing")
    assert "a failure that calls for a rollback was certain already" in listing.reason
    assert ran.verdict.rollback.outcome == "done"
    assert world.answering() == {before_it}
