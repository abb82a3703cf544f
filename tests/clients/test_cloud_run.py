from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from google.cloud import run_v2

from benchmarks import web
from tests.clients.relay import Relay, relay_to
from verification.clients.google.cloud_run import Absent, Changed, CloudRun, TrafficLine, Unclear
from verification.clients.google.cloud_run_state import revision_state, service_state
from verification.errors import NotPermitted, ObserverError
from verification.local_sandbox.sandbox import Sandbox
from verification.settings.service import CloudRunSettings

STAGING = "bayit-plus-backend-staging"
PRODUCTION = "bayit-plus-backend"


def table(sandbox: Sandbox, service: str = PRODUCTION, endpoint: str = "") -> CloudRunSettings:
    there = sandbox.addresses
    return CloudRunSettings(
        service=service, region=there.region, project=there.project, endpoint=endpoint or there.cloud_run.rest
    )


@pytest.fixture
def cloud_run(sandbox: Sandbox) -> CloudRun:
    return CloudRun(table(sandbox))


@pytest.fixture
def staging(sandbox: Sandbox) -> Iterator[CloudRun]:
    """The one that is written to; afterwards its traffic follows deployments again, as other tests need it."""
    there = table(sandbox, STAGING)
    yield CloudRun(there)
    address = f"{there.endpoint}/v2/projects/{there.project}/locations/{there.region}/services/{STAGING}"
    everything = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
    web.patch(address, params={"updateMask": "traffic"}, json={"traffic": everything}).raise_for_status()
    CloudRun(there).settled_service(10)


@pytest.fixture
def through_relay(sandbox: Sandbox) -> AbstractContextManager[Relay]:
    return relay_to(sandbox.addresses.cloud_run.rest)


def test_what_serves_is_named_although_the_traffic_follows_the_latest(cloud_run: CloudRun) -> None:
    state = cloud_run.service()
    assert state.sole_revision == state.latest_ready != state.latest_created
    assert state.sole_revision is not None
    assert state.sole_revision.startswith(f"{PRODUCTION}-00002-")
    assert not state.pinned
    assert state.name == PRODUCTION


def test_a_failed_deployment_is_neither_settled_nor_moving(cloud_run: CloudRun) -> None:
    state = cloud_run.service()
    assert (state.settled, state.moving) == (False, False)
    assert "00003" in state.problem


def test_revisions_come_newest_first_whether_they_serve_or_not(cloud_run: CloudRun) -> None:
    found = cloud_run.revisions()
    assert [one.name[-9:-4] for one in found] == ["00003", "00002", "00001"]
    assert [one.ready for one in found] == [False, True, True]
    assert [one.name for one in cloud_run.revisions(limit=1)] == [found[0].name]


def test_an_idle_revision_is_ready_although_other_conditions_have_failed(cloud_run: CloudRun) -> None:
    oldest = cloud_run.revision(cloud_run.revisions()[-1].name)
    assert oldest.ready
    assert len(oldest.commit) == 40
    assert "@sha256:" in oldest.image


def test_what_does_not_exist_is_said_to_be_absent(sandbox: Sandbox, cloud_run: CloudRun) -> None:
    with pytest.raises(Absent, match="no revision nowhere"):
        cloud_run.revision("nowhere")
    with pytest.raises(Absent, match="no service nobody"):
        CloudRun(table(sandbox, "nobody")).service()


def test_the_permission_to_roll_back_is_asked_for(cloud_run: CloudRun) -> None:
    assert cloud_run.may_update()


def test_all_traffic_moves_and_tags_stay_at_nothing(staging: CloudRun) -> None:
    oldest = staging.revisions()[-1].name
    state = staging.settled_service(5)
    tags = (TrafficLine(oldest, 0, "old"), TrafficLine("", 0, "tip"))
    staging.send_all_traffic_to(oldest, etag=state.etag, keep_tags=tags, within=10)
    after = staging.service()
    assert after.sole_revision == oldest
    assert after.pinned
    assert after.tags == tags
    assert {one.tag: (one.revision, one.percent) for one in after.serving if one.tag} == {
        "old": (oldest, 0),
        "tip": (after.latest_ready, 0),
    }


def test_a_stale_etag_writes_nothing(staging: CloudRun) -> None:
    before = staging.settled_service(5)
    with pytest.raises(Changed):
        staging.send_all_traffic_to(before.latest_ready, etag='"stale"', within=5)
    assert staging.service().etag == before.etag


def test_a_revision_that_cannot_serve_leaves_the_traffic_and_an_unclear_outcome(staging: CloudRun) -> None:
    before = staging.settled_service(5)
    with pytest.raises(Unclear, match="could not move"):
        staging.send_all_traffic_to("bayit-plus-backend-staging-00099-xyz", etag=before.etag, within=10)
    assert staging.settled_service(5).shares == before.shares


def test_a_read_survives_a_passing_fault(sandbox: Sandbox, through_relay: AbstractContextManager[Relay]) -> None:
    with through_relay as relay:
        relay.before = lambda *_: (503, "busy") if len(relay.asked) < 3 else None
        assert CloudRun(table(sandbox, endpoint=relay.address)).service().name == PRODUCTION
        assert relay.count("GET") == 3


def test_a_write_whose_answer_is_lost_is_unclear_and_not_repeated(
    sandbox: Sandbox, through_relay: AbstractContextManager[Relay]
) -> None:
    with through_relay as relay:
        relay.loses = {"PATCH"}
        cloud_run = CloudRun(table(sandbox, STAGING, relay.address))
        state = cloud_run.settled_service(5)
        with pytest.raises(Unclear):
            cloud_run.send_all_traffic_to(state.latest_ready, etag=state.etag, within=5)
        assert relay.count("PATCH") == 1
        assert cloud_run.settled_service(5).sole_revision == state.latest_ready


@pytest.mark.parametrize(("status", "remedy"), [(401, "gcloud auth"), (403, r"roles/run\.developer")])
def test_a_refusal_names_what_to_grant(
    status: int, remedy: str, sandbox: Sandbox, through_relay: AbstractContextManager[Relay]
) -> None:
    with through_relay as relay:
        relay.before = lambda *_: (status, "no")
        with pytest.raises(NotPermitted, match=remedy):
            CloudRun(table(sandbox, endpoint=relay.address)).service()
        assert relay.count("GET") == 1, "a refusal is no passing fault"


@pytest.mark.parametrize(
    "answer", [(503, "down"), (500, "broken"), (200, "<html>a captive portal</html>"), (200, "{}")]
)
def test_an_answer_that_is_none_is_the_observers_fault(
    answer: tuple[int, str], sandbox: Sandbox, through_relay: AbstractContextManager[Relay]
) -> None:
    with through_relay as relay:
        relay.before = lambda *_: answer
        with pytest.raises(ObserverError, match="no usable answer"):
            CloudRun(table(sandbox, endpoint=relay.address)).service()


ASKED: dict[str, Callable[[CloudRun], object]] = {
    "service": lambda cloud_run: cloud_run.service(),
    "settled_service": lambda cloud_run: cloud_run.settled_service(5),
    "revision": lambda cloud_run: cloud_run.revision("one"),
    "revisions": lambda cloud_run: cloud_run.revisions(),
    "may_update": lambda cloud_run: cloud_run.may_update(),
    "send": lambda cloud_run: cloud_run.send_all_traffic_to("one", etag='"one"', within=5),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_no_call_waits_for_ever(
    ask: Callable[[CloudRun], object], sandbox: Sandbox, through_relay: AbstractContextManager[Relay]
) -> None:
    with through_relay as relay:
        cloud_run = CloudRun(table(sandbox, endpoint=relay.address), timeout=2)
        cloud_run.service()
        relay.silent.set()
        with pytest.raises(ObserverError):
            ask(cloud_run.limited_to(0.3))


def test_credentials_are_never_sent_in_the_clear() -> None:
    open_address = CloudRunSettings(service="s", region="r", project="p", endpoint="http://run.example.com")
    with pytest.raises(ObserverError, match="in the clear"):
        CloudRun(open_address).service()


def test_a_search_for_credentials_that_hangs_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as metadata:  # accepts, and never says a word
        address = f"127.0.0.1:{metadata.getsockname()[1]}"
        code = (
            "from verification.clients.google.cloud_run import CloudRun; from verification.settings.service import CloudRunSettings as Table;"
            "CloudRun(Table(service='s', region='r', project='p'), timeout=3).service()"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={
                "HOME": str(tmp_path),
                "PATH": os.environ["PATH"],
                "GCE_METADATA_IP": address,
                "GCE_METADATA_HOST": address,
                "GCE_METADATA_TIMEOUT": "60",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    assert "NotPermitted: no Google credentials were found within 3 s" in ended.stderr


def test_the_sandbox_going_down_is_no_refusal(sandbox: Sandbox, cloud_run: CloudRun) -> None:
    faults = f"{sandbox.addresses.operator}/faults"
    web.put(faults, json={"faults": ["cloud-run-down"]}).raise_for_status()
    try:
        with pytest.raises(ObserverError) as problem:
            cloud_run.service()
        assert not isinstance(problem.value, NotPermitted)
    finally:
        web.put(faults, json={"faults": []}).raise_for_status()


# What the messages mean

LATEST = {"type_": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}
NAMED = {"type_": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"}
GOOD = {
    "generation": 4,
    "observed_generation": 4,
    "terminal_condition": {"type_": "Ready", "state": "CONDITION_SUCCEEDED"},
    "latest_ready_revision": "projects/p/locations/r/services/s/revisions/s-2",
    "traffic": [{**LATEST, "percent": 100}],
    "traffic_statuses": [{**LATEST, "percent": 100}],
}


@pytest.mark.parametrize(
    ("different", "settled", "moving"),
    [
        ({}, True, False),
        ({"traffic": []}, True, False),
        ({"reconciling": True}, False, True),
        ({"observed_generation": 3}, False, True),
        ({"terminal_condition": {"type_": "Ready", "state": "CONDITION_FAILED"}}, False, False),
        ({"traffic": [{**NAMED, "revision": "s-1", "percent": 100}]}, False, False),
    ],
)
def test_settled_means_that_nothing_moves_and_what_was_asked_for_flows(
    different: dict[str, object], settled: bool, moving: bool
) -> None:
    state = service_state(run_v2.Service(mapping={**GOOD, **different}))
    assert (state.settled, state.moving) == (settled, moving)


@pytest.mark.parametrize(
    ("traffic", "pinned"),
    [
        ([], False),
        ([{**LATEST, "percent": 100}], False),
        ([{**NAMED, "revision": "s-1", "percent": 100}], True),
        ([{**NAMED, "revision": "s-1", "percent": 100}, {**LATEST, "percent": 0, "tag": "tip"}], True),
        ([{**NAMED, "revision": "s-1", "percent": 90}, {**LATEST, "percent": 10}], False),
    ],
)
def test_pinned_means_that_no_share_follows_new_deployments(traffic: list[dict[str, object]], pinned: bool) -> None:
    assert service_state(run_v2.Service(mapping={**GOOD, "traffic": traffic})).pinned is pinned


def test_the_shares_of_a_revision_add_up_over_its_tags() -> None:
    statuses = [{**NAMED, "revision": "s-1", "percent": 60}, {**NAMED, "revision": "s-1", "percent": 40, "tag": "old"}]
    state = service_state(run_v2.Service(mapping={**GOOD, "traffic_statuses": statuses}))
    assert state.sole_revision == "s-1"


def test_split_traffic_has_no_sole_revision() -> None:
    statuses = [{**NAMED, "revision": "s-1", "percent": 90}, {**LATEST, "percent": 10}]
    state = service_state(run_v2.Service(mapping={**GOOD, "traffic_statuses": statuses}))
    assert state.sole_revision is None
    assert state.traffic_text == "s-1 90 %, s-2 10 %"


def test_a_revision_without_a_ready_condition_is_not_ready() -> None:
    others = [{"type_": "Active", "state": "CONDITION_SUCCEEDED"}]
    assert not revision_state(run_v2.Revision(mapping={"conditions": others})).ready


def test_a_tag_lets_one_revision_answer_alone_and_goes_again(staging: CloudRun) -> None:
    before = staging.service()
    old = next(found.name for found in staging.revisions() if found.ready and found.name != before.sole_revision)
    staging.send_all_traffic_to(before.sole_revision or "", etag=before.etag, within=10)
    address = staging.set_tag("dv-test", old, 10)
    tagged = staging.service()
    assert tagged.shares == {before.sole_revision: 100}, "nobody is moved"
    assert web.get(f"{address}/health/deep").json()["revision"] == old
    assert staging.set_tag("dv-test", old, 10) == address, "twice is the same as once"
    with pytest.raises(ObserverError, match="dv-test is there already"):
        staging.set_tag("dv-test", before.sole_revision or "", 10)
    staging.set_tag("somebody-elses", old, 10)
    staging.remove_tag("dv-test", 10)
    staging.remove_tag("dv-test", 10)
    assert [line.tag for line in staging.service().tags] == ["somebody-elses"]
    staging.remove_tag("somebody-elses", 10)
    assert staging.service().shares == {before.sole_revision: 100}


def test_a_tag_leaves_traffic_that_follows_the_latest_as_it_is(sandbox: Sandbox) -> None:
    production = CloudRun(table(sandbox))
    serving = production.service()
    assert not serving.pinned
    production.set_tag("dv-test", serving.sole_revision or "", 10)
    assert not production.service().pinned
    production.remove_tag("dv-test", 10)
    assert production.service().lines == serving.lines
