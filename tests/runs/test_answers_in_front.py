"""Answers that no revision gave: they move nothing, and they do not pass; what a release refuses its users undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks import web
from tests.clients.hostile import Conversation, free_port, hostile
from tests.clients.relay import relay_to
from tests.clients.test_service_front_door import GOOGLE
from tests.runs.conftest import Runner, World


@pytest.mark.parametrize("fault", ["waf", "iam-refused"])
def test_who_is_kept_out_in_front_of_the_service_calls_people_and_moves_nothing(
    fault: str, run: Runner, world: World
) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", fault, variables=world.variables)
    assert ran.code == 75, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert {ran.of(name) for name in ("basic_health", "deep_health", "login", "search")} == {"inconclusive"}
    assert "no revision" in ran.report
    world.break_()
    assert world.answering() == {world.note()["current"]}


def test_a_release_for_which_cloud_run_has_no_instance_is_undone(run: Runner, world: World) -> None:
    before = world.answering().pop()
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", "no-available-instance", variables=world.variables)
    assert ran.code == 1, ran.said
    assert (ran.verdict.rollback.outcome, ran.verdict.rollback.verified) == ("done", True)
    assert "no available instance" in ran.report
    assert world.answering() == {before}


def test_a_limit_of_the_services_own_that_reads_like_cloud_runs_moves_nothing(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    """Its page and headers are Cloud Run's for want of an instance; the request log knows that a revision answered."""
    note = world.release()

    def limited(one: Conversation) -> None:
        trace = web.get(f"{world.url}/health").headers["x-cloud-trace-context"]
        one.answer(b"Rate exceeded.", "429 Too Many Requests", GOOGLE, f"X-Cloud-Trace-Context: {trace}")

    with hostile(limited) as server:
        file = production((world.url, server.url))
        named = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=named)
    assert ran.code == 75, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert f"answered 429 by {note['current']} itself" in ran.report


CLOUDFLARES = ("Content-Type: text/plain; charset=UTF-8", "Server: cloudflare", "CF-RAY: 8a")


def test_what_somebody_in_front_says_in_the_services_name_fails_and_moves_nothing_where_its_own_address_is_well(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    """Going back would not mend it: the revision from before would be asked past them, and answer well."""
    note = world.release()
    with hostile(lambda one: one.answer(b"error code: 522", "522 <none>", *CLOUDFLARES)) as front:
        file = production((world.url, front.url))
        named = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=named)
    assert ran.code == 1, ran.said
    assert ran.of("basic_health") == "fail"
    assert ran.verdict.rollback.outcome == "not needed"
    assert f"at {world.url} the release answers well" in ran.report
    assert world.answering() == {note["current"]}


def test_a_release_for_which_somebody_in_front_speaks_is_undone(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    note = world.release("unhealthy")

    def in_its_name(method: str, path: str) -> tuple[int, str] | None:
        failed = method == "GET" and web.get(f"{world.url}{path}").is_server_error
        return (502, "error code: 502") if failed else None

    with relay_to(world.url) as front:
        front.before = in_its_name
        file = production((world.url, front.address))
        named = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=named)
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "done"
    assert "answered 502, and not by Cloud Run" in ran.report
    assert world.answering() == {note["previous"]}


def test_a_service_that_nobody_reaches_from_here_does_not_pass_and_moves_nothing(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    """As with an egress filter: Google's front end accepts connections, whatever the revision does."""
    file = production((world.url, f"http://127.0.0.1:{free_port()}"))
    ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 75, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert "connection refused" in ran.report


def test_media_that_another_host_does_not_give_fails_and_moves_nothing(
    run: Runner, world: World, production: Callable[..., Path], account: Mapping[str, str]
) -> None:
    """The relay is the service here, and the sandbox the other host that its listing names."""
    note = world.release("playback-broken")
    with relay_to(world.url) as relay:
        file = production((world.url, relay.address))
        named = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=named)
    assert ran.code == 1, ran.said
    assert ran.of("video_playback") == "fail"
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {note["current"]}
