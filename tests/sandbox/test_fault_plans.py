"""Faults by name and time, and whom the quiet ones strike; without a sandbox."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.backend.request_faults import RequestFaults
from sandbox.faults import SPARED, FaultError, Faults, UnknownFaultError, of_previous, parsed, plan, plan_in_force


def test_a_plan_sorts_faults_by_where_they_take_effect() -> None:
    sorted_out = plan(["unhealthy", "cloud-run-down"])
    assert (sorted_out.in_revision, sorted_out.in_force) == (frozenset({"unhealthy"}), frozenset({"cloud-run-down"}))
    with pytest.raises(UnknownFaultError, match="'nonsense'; known here: unhealthy"):
        plan(["nonsense"])
    with pytest.raises(UnknownFaultError, match="'unhealthy'; known here: cloud-run-down"):
        plan_in_force(["unhealthy"])


@pytest.mark.parametrize(
    ("planted", "seconds"),
    [("ramp", 0.0), ("ramp@8s", 8.0), ("ramp@1.5s", 1.5), ("ramp@500ms", 0.5), ("ramp@2m", 120.0)],
)
def test_a_fault_may_name_when_it_begins(planted: str, seconds: float) -> None:
    assert parsed(planted) == ("ramp", seconds)
    assert plan([planted]).in_revision == {planted}


@pytest.mark.parametrize("planted", ["ramp@", "ramp@8", "ramp@8h", "ramp@-1s", "ramp@8s@9s", "ramp@ 8s", "ramp@٨s"])
def test_a_time_that_is_none_is_refused_in_words(planted: str) -> None:
    with pytest.raises(FaultError, match="with its unit, such as ramp@8s"):
        plan([planted])


def test_an_unknown_fault_stays_unknown_with_a_time() -> None:
    with pytest.raises(UnknownFaultError, match="'nonsense'; known here: unhealthy"):
        plan(["nonsense@8s"])


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_faults_of_a_revision_wait_for_its_first_request() -> None:
    clock = Clock()
    faults = Faults(["ramp", "unhealthy@8s"], begun=False, clock=clock)
    clock.now += 60
    assert (set(faults), faults.to_come(), faults.seconds("ramp")) == ({"ramp"}, ["unhealthy"], 0.0)
    faults.begin()
    clock.now += 7.9
    faults.begin()
    assert set(faults) == {"ramp"}
    clock.now += 0.2
    assert (set(faults), faults.to_come()) == ({"ramp", "unhealthy"}, [])
    assert faults.seconds("unhealthy") == pytest.approx(0.1)


def test_faults_in_force_wait_from_when_they_were_planted_and_can_be_taken_back() -> None:
    clock = Clock()
    faults = Faults(clock=clock)
    faults.update(["sentry-down@5s", "slack-down"])
    assert ("sentry-down" in faults, "slack-down" in faults, len(faults)) == (False, True, 1)
    clock.now += 5
    assert "sentry-down" in faults
    faults.discard("sentry-down")
    faults.add("github-down@1s")
    faults.clear()
    clock.now += 5
    assert (set(faults), faults.to_come()) == (set(), [])


def failures(faults: Faults, requests: int, agent: str = "a") -> list[bool]:
    """Which of so many requests fail, one after the other."""

    async def play() -> list[bool]:
        trouble = RequestFaults(faults, out_of_memory=lambda: None)
        return [await trouble.delay_or_fail(agent) for _ in range(requests)]

    return asyncio.run(play())


def test_error_rate_spares_the_first_and_then_strikes_every_fifth() -> None:
    assert failures(Faults(["error-rate"]), SPARED + 10) == [False] * SPARED + [False, False, False, False, True] * 2


def test_half_a_percent_is_met_by_chance_and_spares_nobody() -> None:
    assert sum(failures(Faults(["errors-half-percent"]), 20_000)) == pytest.approx(100, abs=30)


def test_what_the_revision_from_before_shares() -> None:
    assert of_previous(plan(["search-broken@8s"]).in_revision) == frozenset()
    assert of_previous(plan(["previous-broken", "search-broken@8s"]).in_revision) >= {"search-broken@8s"}
    assert of_previous(plan(["previous-broken"]).in_revision) >= {"login-broken"}
    assert "login-broken" not in plan(["previous-broken", "search-broken"]).in_revision


def test_each_client_is_spared_for_itself() -> None:
    async def play() -> list[bool]:
        trouble = RequestFaults(Faults(["error-rate"]), out_of_memory=lambda: None)
        for _ in range(100):
            await trouble.delay_or_fail("the users")
        return [await trouble.delay_or_fail("somebody who looks in") for _ in range(SPARED)]

    assert asyncio.run(play()) == [False] * SPARED


@pytest.mark.parametrize(("after", "share"), [(0, 0.0), (10, 0.15), (20, 0.3), (600, 0.3)])
def test_a_ramp_grows_to_its_share_and_stays_there(after: float, share: float) -> None:
    clock = Clock()
    faults = Faults(["ramp"], clock=clock)
    clock.now += after
    assert sum(failures(faults, 1000 + SPARED)) == pytest.approx(1000 * share, abs=1)


def test_latency_holds_half_of_the_requests_and_one_in_ten_for_longer() -> None:
    ended: list[int] = []

    async def play() -> None:
        trouble = RequestFaults(Faults(["latency"]), out_of_memory=lambda: None)

        async def ask(number: int) -> None:
            assert not await trouble.delay_or_fail("a")
            ended.append(number)

        await asyncio.gather(*(ask(number) for number in range(1, SPARED + 11)))

    asyncio.run(play())
    ten = [number - SPARED for number in ended if number > SPARED]
    assert (ten[:4], ten[4:9], ten[9:]) == ([2, 4, 6, 8], [1, 3, 5, 7, 9], [10])
