"""Which deployment is followed up, what the team is told, the second watch, the trend, and resources: value by value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.sandbox.google.control_plane_fixture import (
    PROJECT,
    REGION,
    RETIRED,
    SERVICE,
    SERVING,
    RunningControlPlane,
    running_control_plane,
)
from verification.clients.google.cloud_monitoring import Histogram, RevisionTraffic
from verification.clients.google.cloud_run import Absent, CloudRun
from verification.clients.google.cloud_run_state import Allotment
from verification.clients.sentry.answers import ErrorRate, Window
from verification.criteria.sign_off import SignOffLine
from verification.errors import NotAsked, ObserverError, ServiceError
from verification.probes.followup.deployment import follow
from verification.probes.followup.review import ResourceChange, idle_cost
from verification.probes.followup.sentry import ErrorTrend
from verification.probes.followup.team import rolled_back_message, success_message
from verification.probes.followup.watch import SecondWatch, watched
from verification.records.deployments import (
    Deployment,
    DeploymentOutcome,
    FollowedDeployment,
    LoggedRollback,
    PhaseVerdict,
    Signature,
)
from verification.records.rollback_plan import NamedRevisions
from verification.records.run_record import RollbackOutcome
from verification.settings.followup import ApprovedResources, IdlePrices
from verification.settings.model import Limits
from verification.settings.service import CloudRunSettings
from verification.verdict import Verdict, collecting

BEGAN = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
NOBODY = NamedRevisions("", "")
LIMITS = Limits()


def deployment(revision: str, days_ago: float, **more: object) -> Deployment:
    one = Deployment("production", SERVICE, revision, datetime.now(UTC) - timedelta(days=days_ago), "before")
    return replace(one, **more)  # type: ignore[arg-type]


def undone(one: Deployment, to: str) -> Deployment:
    rollback = LoggedRollback(outcome=RollbackOutcome.DONE, triggers=("login",), to_revision=to, verified=True)
    return replace(one, rollback=rollback, rolled_back_at=one.deployed + timedelta(minutes=3))


# --- which deployment ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def control_plane() -> Iterator[RunningControlPlane]:
    with running_control_plane() as running:
        yield running


@pytest.fixture(scope="module")
def cloud_run(control_plane: RunningControlPlane) -> CloudRun:
    return CloudRun(CloudRunSettings(service=SERVICE, region=REGION, project=PROJECT, endpoint=control_plane.rest))


def test_the_latest_of_the_log_is_followed(cloud_run: CloudRun) -> None:
    logged = [deployment(RETIRED, 9), deployment(SERVING, 3)]
    found = follow(logged, "production", cloud_run, NOBODY)
    assert (found.deployment, found.logged) == (logged[1], True)
    assert (found.serves, found.through) == (SERVING, logged[1].deployed)


def test_a_rolled_back_deployment_is_the_latest_although_another_revision_serves(cloud_run: CloudRun) -> None:
    bad = undone(deployment("bad", 1), to=SERVING)
    found = follow([deployment(SERVING, 3), bad], "production", cloud_run, NOBODY)
    assert (found.deployment.revision, found.serves) == ("bad", SERVING)
    assert found.through == bad.rolled_back_at


def test_a_deployment_that_nobody_logged_is_known_from_cloud_run(cloud_run: CloudRun) -> None:
    found = follow([deployment(RETIRED, 9)], "production", cloud_run, NOBODY)
    assert (found.deployment.revision, found.deployment.previous, found.logged) == (SERVING, RETIRED, False)
    assert found.deployment.commit == "2" * 40
    alone = follow([], "production", cloud_run, NamedRevisions("", "older")).deployment
    assert (alone.revision, alone.previous) == (SERVING, "older")


def test_a_revision_that_serves_since_long_before_the_latest_is_not_followed(cloud_run: CloudRun) -> None:
    latest = deployment("newer", 1)
    assert follow([latest], "production", cloud_run, NOBODY).deployment == latest


def test_a_revision_that_somebody_named_is_followed(cloud_run: CloudRun) -> None:
    logged = [deployment(RETIRED, 9, previous=""), deployment(SERVING, 3)]
    found = follow(logged, "production", cloud_run, NamedRevisions(RETIRED, "first")).deployment
    assert (found.revision, found.previous) == (RETIRED, "first")
    with pytest.raises(Absent):
        follow(logged, "production", cloud_run, NamedRevisions("nowhere", ""))


def test_a_verified_deployment_was_through_when_its_last_phase_was() -> None:
    ended = BEGAN + timedelta(minutes=15)
    good = deployment("b", 1, phases={"monitor": PhaseVerdict(verdict=Verdict.PASS, ended=ended)})
    assert (good.state, FollowedDeployment(good, logged=True).through) == (DeploymentOutcome.GOOD, ended)


# --- what the team is told -----------------------------------------------------------------------------------


def test_the_checklists_message_filled_in() -> None:
    one = deployment("backend-00043", 1, commit="4f9c2ab")
    assert success_message("production", one, "15 minutes") == (
        "✅ Production deployment complete\n"
        "Commit: 4f9c2ab\n"
        "Revision: backend-00043\n"
        "Status: All health checks passing\n"
        "Monitoring: 15 minutes stable"
    )


def test_a_rollback_is_told_as_one() -> None:
    text = rolled_back_message("production", undone(deployment("b", 1, commit="4f9c2ab"), to="a"))
    assert text.splitlines()[0] == "↩️ Production deployment rolled back"
    assert text.splitlines()[2:] == ["Revision: b back to a", "Because of: login"]


# --- the second watch ----------------------------------------------------------------------------------------


def watch(requests: int, errors: int = 0, slow: int = 0) -> SecondWatch:
    end = BEGAN + timedelta(minutes=15)
    latencies = Histogram((100.0, 400.0, 1000.0), (requests - slow, 0, slow, 0))
    traffic = [
        RevisionTraffic("b", BEGAN, end, requests, errors, latencies),
        RevisionTraffic("a", BEGAN, end, 900, 900, latencies),
    ]
    return watched("b", BEGAN, end, traffic)


def test_a_quiet_watch_of_the_revision_alone() -> None:
    with collecting() as measured:
        watch(1000, errors=9).must_be_quiet(LIMITS)
    assert [(one.name, one.value, one.limit, one.samples) for one in measured] == [
        ("error rate", 0.9, 1.0, 1000),
        ("p95 latency", 95, 500.0, 1000),
    ]


@pytest.mark.parametrize("loud", [watch(1000, errors=10), watch(1000, slow=60)])
def test_a_loud_watch_fails(loud: SecondWatch) -> None:
    with pytest.raises(ServiceError):
        loud.must_be_quiet(LIMITS)


@pytest.mark.parametrize("few", [watch(0), watch(50, errors=1), watch(50, slow=10)])
def test_too_few_requests_are_neither_good_nor_bad(few: SecondWatch) -> None:
    with pytest.raises(ObserverError):
        few.must_be_quiet(LIMITS)


def test_few_requests_without_a_fault_are_quiet() -> None:
    watch(30).must_be_quiet(LIMITS)


# --- the day after -------------------------------------------------------------------------------------------


def trend(errors: int, before: int, transactions: int = 100_000, then: int = 100_000) -> ErrorTrend:
    window = Window(BEGAN, BEGAN + timedelta(days=1))
    rates = [
        ErrorRate("production", window, *counts, partial=False) for counts in ((errors, transactions), (before, then))
    ]
    return ErrorTrend(rates[0], rates[1], 0.5, "its searches find other events")


@pytest.mark.parametrize("flat", [trend(200, 200), trend(280, 200), trend(0, 200), trend(0, 0), trend(13, 5)])
def test_errors_that_did_not_grow_beyond_chance_are_flat(flat: ErrorTrend) -> None:
    flat.must_be_flat(0.01)


@pytest.mark.parametrize("grown", [trend(400, 200), trend(1100, 1000), trend(30, 5), trend(2, 0)])
def test_errors_that_grew_or_are_too_many_are_not(grown: ErrorTrend) -> None:
    with pytest.raises(ServiceError):
        grown.must_be_flat(0.01)


@pytest.mark.parametrize("unknown", [trend(2, 2, transactions=0), trend(2, 2, then=0)])
def test_a_day_without_transactions_tells_of_no_trend(unknown: ErrorTrend) -> None:
    with pytest.raises(ObserverError):
        unknown.must_be_flat(0.01)


# --- resources -----------------------------------------------------------------------------------------------

USUAL = Allotment(1.0, 512 * 1024**2, 1, 20)
UNSIGNED = SignOffLine("resources_unchanged_or_approved", "", None)


def change(now: Allotment, **approved: object) -> ResourceChange:
    return ResourceChange("b", "a", now, USUAL, IdlePrices(), ApprovedResources.model_validate(approved))


def test_unchanged_resources_need_nobody() -> None:
    with collecting() as measured:
        change(USUAL).must_be_none_or_approved(UNSIGNED)
    assert {one.name: one.value for one in measured}["idle cost a month"] == "9.72"


def test_changed_resources_need_a_person_who_is_told_what_they_cost() -> None:
    grown = change(replace(USUAL, cpu=2.0, min_instances=3))
    with pytest.raises(NotAsked, match="needs a person") as caught:
        grown.must_be_none_or_approved(UNSIGNED)
    assert "cpu 1 -> 2, min instances 1 -> 3; 9.72 -> 48.60 USD a month idle" in caught.value.cause
    grown.must_be_none_or_approved(SignOffLine("resources_unchanged_or_approved", "Noa Levi", None))


def test_what_the_file_approves_of_needs_nobody() -> None:
    grown = replace(USUAL, cpu=2.0, memory=1024**3, max_instances=40)
    change(grown, cpu="2000m", memory="1Gi", max_instances=40).must_be_none_or_approved(UNSIGNED)
    with pytest.raises(NotAsked, match="max instances 20 -> 40;"):
        change(grown, cpu="2", memory="1Gi", max_instances=30).must_be_none_or_approved(UNSIGNED)


def test_resources_that_are_not_said_are_not_unchanged() -> None:
    silent = Allotment(None, None, 1, 20)
    with pytest.raises(ObserverError, match="does not say how much cpu and memory"):
        ResourceChange("b", "a", silent, silent, IdlePrices(), ApprovedResources()).must_be_none_or_approved(UNSIGNED)


def test_what_waiting_instances_cost() -> None:
    prices = IdlePrices()
    assert idle_cost(replace(USUAL, min_instances=0), prices) == 0.0
    assert idle_cost(replace(USUAL, cpu_always=True), prices) == pytest.approx(49.25, abs=0.01)
    assert idle_cost(replace(USUAL, cpu=None), prices) is None


# --- people --------------------------------------------------------------------------------------------------


def test_who_signed_and_when_is_shown() -> None:
    before = Signature("costs", "Noa Levi", BEGAN)
    with collecting() as measured:
        SignOffLine("costs", "", before).must_be_signed()
        SignOffLine("costs", "Avi", before).must_be_signed()
    assert [(one.value, one.source) for one in measured] == [("Noa Levi", "deployment log"), ("Avi", "--sign-off")]
    assert measured[0].observed_at == BEGAN


def test_an_open_line_says_how_it_is_signed() -> None:
    with pytest.raises(NotAsked, match="needs a person: nobody has signed it off yet") as caught:
        SignOffLine("costs", "", None).must_be_signed()
    assert caught.value.remedy.endswith('--sign-off costs="YOUR NAME".')
