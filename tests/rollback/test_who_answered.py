"""Whose answers are judged: those of the revision, and of the service, that would be moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks import web
from rollback.preflight import _Snapshot
from tests.clients.relay import relay_to
from tests.rollback.stage import Stage
from verification.deadline import now
from verification.records.rollback_plan import RollbackPlan
from verification.records.run_record import RollbackOutcome
from verification.settings.model import Settings


def codes(plan: RollbackPlan) -> list[str]:
    return [obstacle.code for obstacle in plan.obstacles]


def at(settings: Settings, url: str) -> Settings:
    """`settings`, with the service asked at `url`."""
    target = settings.target.model_copy(update={"url": url})
    return settings.model_copy(update={"targets": dict.fromkeys(settings.targets, target)})


def unnamed(settings: Settings) -> Settings:
    """`settings` of a service whose answers name no revision."""
    return settings.model_copy(update={"health": settings.health.model_copy(update={"reported_revision": None})})


@pytest.fixture
def domain(stage: Stage) -> Iterator[str]:
    """An address of production that Cloud Run does not know of, as a custom domain is."""
    with relay_to(stage.sandbox.addresses.environments["production"].url) as relay:
        yield relay.address


def test_a_hotfix_that_gets_its_traffic_just_as_smoke_starts_is_not_blamed(stage: Stage) -> None:
    """The broken revision answers, and what serves is looked at when the hotfix does."""
    broken = stage.release("login-broken").current
    asked_since = now()
    hotfix = stage.release().current
    plan = stage.snapshot(broken, asked_since).plan
    assert (plan.revision, plan.target, codes(plan)) == (hotfix, "", ["service_was_changing"])
    assert "when its first questions had been asked" in plan.obstacles[0].text
    assert stage.roll_back(plan).guard == "service_was_changing"
    assert stage.serving == {hotfix: 100}


def test_a_tag_that_is_set_or_goes_just_then_is_no_change_of_what_serves(stage: Stage) -> None:
    """As the control of another run does: nobody is moved by it."""
    note = stage.release("login-broken")
    for change in (
        lambda: stage.cloud_run.set_tag("dv-control-0a1b2c", note.previous, 10),
        lambda: stage.cloud_run.remove_tag("dv-control-0a1b2c", 10),
    ):
        before, asked_since = stage.cloud_run.service(), now()
        change()
        plan = stage.snapshot(note.previous, asked_since, before).plan
        assert (plan.revision, plan.target, plan.obstacles) == (note.current, note.previous, ())
    assert codes(stage.snapshot(note.previous, asked_since).plan) == ["service_was_changing"], "by its time alone"
    assert stage.roll_back(plan).verified


def test_a_tag_that_is_being_set_is_waited_for(stage: Stage) -> None:
    note = stage.release("login-broken")
    before, asked_since = stage.cloud_run.service(), now()
    answer = web.patch(
        stage.service_address,
        params={"updateMask": "traffic"},
        json={
            "traffic": [
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100},
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": note.previous, "tag": "candidate"},
            ]
        },
    )
    answer.raise_for_status()
    plan = stage.snapshot(note.previous, asked_since, before).plan
    assert (plan.revision, plan.target, plan.obstacles) == (note.current, note.previous, ())


def test_a_release_and_a_move_of_traffic_count_whatever_their_tags(stage: Stage) -> None:
    note = stage.release("login-broken")
    before, asked_since = stage.cloud_run.service(), now()
    stage.set_traffic({note.previous: 100})
    moved = stage.snapshot(note.previous, asked_since, before).plan
    assert codes(moved)[0] == "service_was_changing"
    before, asked_since = stage.cloud_run.service(), now()
    stage.release()
    released = stage.snapshot(note.previous, asked_since, before).plan
    assert "service_was_changing" in codes(released), "pinned traffic stays, but the service is another"


def test_what_was_deployed_before_the_first_question_is_judged(stage: Stage) -> None:
    note = stage.release("login-broken")
    plan = stage.snapshot(note.previous, now()).plan
    assert (plan.revision, plan.target, plan.obstacles) == (note.current, note.previous, ())
    assert plan.answered == (note.current,)
    assert stage.roll_back(plan).verified


def test_answers_that_name_another_revision_withhold(stage: Stage) -> None:
    broken = stage.release("login-broken").current
    hotfix = stage.release().current
    plan = replace(stage.plan(broken), answered=(broken, hotfix))
    result = stage.roll_back(plan)
    assert (result.outcome, result.guard) == (RollbackOutcome.WITHHELD, "answered_by_another")
    assert f"{broken} answered (health.reported_revision), and {hotfix} serves" in result.reason
    assert stage.serving == {hotfix: 100}


def test_an_address_of_another_service_moves_nothing(stage: Stage) -> None:
    note = stage.release()
    elsewhere = stage.sandbox.addresses.environments["staging"].url
    stage.settings = at(stage.settings, elsewhere)
    plan = stage.plan(note.previous)
    assert codes(plan) == ["address_of_another_service", "answered_by_another"]
    assert f"{elsewhere} answers as bayit-plus-backend-staging-" in plan.obstacles[0].text
    assert stage.roll_back(plan).guard == "address_of_another_service"
    assert stage.serving == {note.current: 100}


def test_the_services_own_addresses_are_known_without_asking_anybody(stage: Stage) -> None:
    production = stage.sandbox.addresses.environments["production"]
    assert stage.cloud_run.service().hosts == {
        address.partition("//")[2] for address in (production.url, production.tls_url)
    }
    stage.settings = unnamed(stage.settings)
    snapshot = stage.snapshot(stage.release().previous)
    assert (snapshot.plan.obstacles, snapshot.notices) == ((), ())


def test_a_domain_whose_answers_name_a_revision_of_the_service_is_its_own(stage: Stage, domain: str) -> None:
    stage.settings = at(stage.settings, domain)
    snapshot = stage.snapshot(stage.release().previous)
    assert (snapshot.plan.obstacles, snapshot.notices) == ((), ())


def test_a_domain_of_which_nothing_is_known_is_said_and_withholds_nothing(stage: Stage, domain: str) -> None:
    stage.settings = unnamed(at(stage.settings, domain))
    note = stage.release("login-broken")
    snapshot = stage.snapshot(note.previous)
    assert snapshot.plan.obstacles == ()
    [notice] = snapshot.notices
    assert notice.startswith(f"whether {domain} is an address of bayit-plus-backend is not known: ")
    assert stage.roll_back(snapshot.plan).outcome is RollbackOutcome.DONE


@pytest.mark.parametrize(
    ("url", "seen", "expected"),
    [
        ("https://shop-abc-ue.a.run.app", set(), "withheld"),
        ("https://shop-123.us-east1.run.app", set(), "withheld"),
        ("https://api.shop.example", set(), "said"),
        ("https://api.shop.example", {"api.shop.example"}, "known"),
    ],
)
def test_an_address_of_cloud_runs_own_that_is_not_the_services_is_anothers(
    url: str, seen: set[str], expected: str, stage: Stage
) -> None:
    service = stage.cloud_run.service()
    stage.settings = at(stage.settings, url)
    survey = _Snapshot(stage.context(), None, None)
    survey.check_address(service, "", seen)
    found = "withheld" if survey.obstacles else "said" if survey.notices else "known"
    assert found == expected
    unlisted = _Snapshot(stage.context(), None, None)
    unlisted.check_address(replace(service, urls=()), "", seen)
    assert unlisted.obstacles == [], "an API that lists no addresses does not say that this is none"
