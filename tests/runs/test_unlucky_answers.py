"""One unlucky answer moves nothing: production's address leads through a relay that answers in the service's place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.clients.relay import Relay, relay_to
from tests.runs.conftest import Runner, World
from verification.watch.samples import SampleFile

SEARCH = "/api/v1/search"
EVERY_BLIP = ["blip", "blip-502", "blip-broken-off"]


def spoil(relay: Relay, numbers: Collection[int], status: int) -> None:
    """Have the relay answer the questions to search of these numbers, from 1, in the service's place."""
    asked: list[str] = []

    def before(_: str, path: str) -> tuple[int, str] | None:
        if not path.startswith(SEARCH):
            return None
        asked.append(path)
        return (status, "spoilt") if len(asked) in numbers else None

    relay.before = before


@pytest.mark.parametrize("status", [500, 502])
def test_one_bad_answer_is_a_blip(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str], status: int
) -> None:
    with relay_to(world.url) as relay:
        spoil(relay, {1}, status)
        file = production((world.url, relay.address), ('policy = "manual"', 'policy = "automatic"'))
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 0, ran.said
    assert ran.of("search") == "pass"
    (search,) = (criterion for criterion in ran.verdict.criteria if criterion.id == "search")
    (again,) = (found for found in search.measurements if found.name == "search, bad answers")
    assert (again.value, again.samples) == (1, 30)
    assert world.answering() == {world.note()["current"]}


def test_mixed_answers_are_told_and_move_nothing(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    with relay_to(world.url) as relay:
        spoil(relay, {1, 12}, 500)
        file = production((world.url, relay.address), ('policy = "manual"', 'policy = "automatic"'))
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.code == 75, ran.said
    assert ran.of("search") == "inconclusive"
    assert "2 of 30 failed, at most" in ran.said
    assert ran.verdict.rollback.outcome == "not needed"
    assert world.answering() == {world.note()["current"]}


def test_a_watch_goes_on_with_answers_that_were_mixed(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    quick = (
        ('watch = "15m"', 'watch = "6s"'),
        ('extended_to = "30m"', 'extended_to = "6s"\nblock = "1s"\nlog_delay = "1s"\nhealth_every = "1s"'),
        ('policy = "manual"', 'policy = "automatic"'),
    )
    with relay_to(world.url) as relay:
        # The watch asks beside it and may take any of them: the first question of smoke meets one of the first two, and
        # two to four of thirty prove nothing.
        spoil(relay, {1, 2, 14, 28}, 500)
        file = production((world.url, relay.address), *quick)
        ran = run("-m", "smoke or monitor", "--env", "production", f"--deployment={file}", variables=account)
    assert ran.of("search") == "inconclusive", ran.said
    samples = [one for one in SampleFile(ran.folder / "samples.csv").read() if one.stream == "flow/search"]
    assert [one.value for one in samples].count(0) >= 2
    assert len(samples) >= 30
    assert any(one.text.startswith("smoke: ") for one in samples if not one.value)
    (flows,) = (one for one in ran.verdict.criteria if one.id == "user_flows_keep_working")
    assert flows.verdict == "pass", "too few of them are bad, and for too short a time"
    assert (flows.measurements[0].samples or 0) >= len(samples)
    assert not {"search", "user_flows_keep_working"} & set(ran.verdict.rollback.triggers)


def test_what_is_dead_is_certain_after_three_answers_and_rolled_back(
    run: Runner, world: World, production: Callable[..., Path], account: dict[str, str]
) -> None:
    note = world.release("search-broken")
    with relay_to(world.url) as relay:
        file = production((world.url, relay.address), ('policy = "manual"', 'policy = "automatic"'))
        variables = {**account, "PREVIOUS_REVISION": note["previous"]}
        ran = run("-m", "smoke", "--env", "production", f"--deployment={file}", variables=variables)
        asked = [path for _, path in relay.asked if path.startswith(SEARCH)]
    assert ran.code == 1, ran.said
    assert ran.verdict.rollback.outcome == "done"
    assert "3 of 3 failed" in ran.said
    assert len(asked) == 6, "three until it is certain, three once the traffic has moved"
    assert world.answering() == {note["previous"]}


@pytest.mark.parametrize("fault", EVERY_BLIP)
def test_whatever_question_meets_the_one_bad_answer_it_passes(run: Runner, world: World, fault: str) -> None:
    ran = run("-m", "smoke", "--env", "sandbox", "--fault", fault, variables=world.variables)
    assert ran.code == 0, ran.said
    assert ran.verdict.rollback.outcome == "not needed"
