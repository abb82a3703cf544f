"""What a revision's instances get, as Cloud Run says it: in both dialects of the sandbox, and by the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.cloud import run_v2

from benchmarks import web
from tests.sandbox.google.control_plane_fixture import (
    PROJECT,
    REGION,
    SERVICE,
    SERVING,
    RunningControlPlane,
    running_control_plane,
)
from verification.clients.google.cloud_run import CloudRun
from verification.clients.google.cloud_run_state import Allotment, quantity, revision_state
from verification.settings.service import CloudRunSettings

GIB = 1024**3


@pytest.fixture(scope="module")
def running() -> Iterator[RunningControlPlane]:
    with running_control_plane() as control_plane:
        yield control_plane


def allotment(running: RunningControlPlane, revision: str) -> Allotment:
    place = CloudRunSettings(service=SERVICE, region=REGION, project=PROJECT, endpoint=running.rest)
    return CloudRun(place).revision(revision).allotment


def test_it_is_read_and_written_in_both_dialects(running: RunningControlPlane) -> None:
    assert allotment(running, SERVING) == Allotment(1.0, GIB // 2, 1, 20)
    address = f"{running.rest}/apis/serving.knative.dev/v1/namespaces/{PROJECT}/services/{SERVICE}"
    body = web.get(address).raise_for_status().json()
    template = body["spec"]["template"]
    scaling = {f"autoscaling.knative.dev/{name}Scale": count for name, count in (("min", "3"), ("max", "40"))}
    assert template["metadata"]["annotations"].keys() == scaling.keys()
    template["metadata"] |= {"name": f"{SERVICE}-larger", "annotations": scaling}
    template["spec"]["containers"][0] |= {"image": "larger", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
    web.put(address, json=body).raise_for_status()
    assert allotment(running, f"{SERVICE}-larger") == Allotment(2.0, GIB, 3, 40)
    revision = web.get(address.replace(f"services/{SERVICE}", f"revisions/{SERVICE}-larger")).json()
    assert revision["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}
    assert scaling.items() <= revision["metadata"]["annotations"].items()


def of(*limits: dict[str, str], idle: bool = True) -> Allotment:
    containers = [{"resources": {"limits": one, "cpu_idle": idle}} for one in limits]
    return revision_state(run_v2.Revision({"name": "r", "containers": containers})).allotment


def test_containers_are_added_up() -> None:
    assert of({"cpu": "1", "memory": "512Mi"}, {"cpu": "500m", "memory": "1Gi"}).cpu == 1.5
    assert of({"cpu": "1", "memory": "512Mi"}, {"cpu": "500m", "memory": "1Gi"}).memory == 1.5 * GIB


@pytest.mark.parametrize("limits", [{}, {"cpu": "1"}, {"cpu": "one", "memory": "512Mi"}])
def test_what_is_not_said_is_not_made_up(limits: dict[str, str]) -> None:
    found = of(limits)
    assert None in {found.cpu, found.memory}


def test_a_cpu_that_is_always_there_is_known() -> None:
    assert of({"cpu": "1", "memory": "1Gi"}, idle=False).cpu_always
    assert not of({"cpu": "1", "memory": "1Gi"}).cpu_always
    assert not revision_state(run_v2.Revision({"name": "r", "containers": [{"image": "i"}]})).allotment.cpu_always


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("250m", 0.25), ("512Mi", GIB / 2), ("1G", 1e9), ("0.5", 0.5), ("2k", 2000)]
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "-1", "1 Gi", "Mi"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)
