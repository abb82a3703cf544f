"""The unmodified gcloud against the sandbox's Cloud Run. It is slow to start, so each test asks it few questions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.google.gcloud import gcloud_environment
from sandbox.platform.model import ALL_TO_LATEST, TrafficTarget
from tests.sandbox.google.control_plane_fixture import (
    BROKEN,
    PROJECT,
    REGION,
    RETIRED,
    SERVICE,
    SERVING,
    RunningControlPlane,
    running_control_plane,
)

GCLOUD = shutil.which("gcloud")
GCLOUD_SECONDS = 90
Gcloud = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")


@pytest.fixture
def world() -> Iterator[RunningControlPlane]:
    with running_control_plane() as running:
        yield running


@pytest.fixture
def gcloud(world: RunningControlPlane, tmp_path: Path) -> Gcloud:
    """Run `gcloud run ...` with nothing of the user's: no configuration, no credentials, no way to another host."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}
    environment |= gcloud_environment("127.0.0.1", world.rest_port, PROJECT, REGION)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(GCLOUD), "run", *arguments],
            env=environment,
            timeout=GCLOUD_SECONDS,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_gcloud_describes_and_lists(gcloud: Gcloud) -> None:
    described = gcloud("services", "describe", SERVICE, "--format=json")
    assert described.returncode == 0, described.stderr
    assert json.loads(described.stdout)["status"]["traffic"] == [
        {"latestRevision": True, "percent": 100, "revisionName": SERVING}
    ]
    listed = gcloud("services", "list", "--format=value(metadata.name)")
    assert (listed.returncode, listed.stdout.split()) == (0, [SERVICE]), listed.stderr
    revisions = gcloud("revisions", "list", f"--service={SERVICE}", "--format=value(metadata.name)")
    assert (revisions.returncode, revisions.stdout.split()) == (0, [BROKEN, SERVING, RETIRED]), revisions.stderr


def test_the_newest_revision_in_the_list_neither_serves_nor_is_ready(gcloud: Gcloud) -> None:
    newest = gcloud("revisions", "list", f"--service={SERVICE}", "--limit=1", "--format=json")
    assert newest.returncode == 0, newest.stderr
    (revision,) = json.loads(newest.stdout)
    assert revision["metadata"]["name"] == BROKEN
    assert {each["type"]: each["status"] for each in revision["status"]["conditions"]}["Ready"] == "False"


def test_gcloud_pins_traffic_and_lets_go_again(gcloud: Gcloud, world: RunningControlPlane) -> None:
    pinned = gcloud("services", "update-traffic", SERVICE, f"--to-revisions={RETIRED}=100")
    assert pinned.returncode == 0, pinned.stderr
    assert world.control.route(SERVICE) == RETIRED
    freed = gcloud("services", "update-traffic", SERVICE, "--to-latest")
    assert freed.returncode == 0, freed.stderr
    assert world.control.route(SERVICE) == SERVING
    assert len(world.service.revisions) == 3


def test_gcloud_sets_and_removes_a_tag_and_leaves_the_percentages(gcloud: Gcloud, world: RunningControlPlane) -> None:
    control = world.control
    control.on_change = lambda service: control.tag_urls.update({(service.name, "control"): "http://127.0.0.1:2"})
    tagged = gcloud("services", "update-traffic", SERVICE, f"--update-tags=control={RETIRED}", "--format=json")
    assert tagged.returncode == 0, tagged.stderr
    assert world.service.targets == [ALL_TO_LATEST, TrafficTarget(RETIRED, 0, "control")]
    described = gcloud("services", "describe", SERVICE, "--format=json")
    assert json.loads(described.stdout)["status"]["traffic"][1:] == [
        {"revisionName": RETIRED, "tag": "control", "url": "http://127.0.0.1:2"}
    ]
    removed = gcloud("services", "update-traffic", SERVICE, "--remove-tags=control")
    assert removed.returncode == 0, removed.stderr
    assert world.service.targets == [ALL_TO_LATEST]


def test_gcloud_reports_a_rollback_that_failed(gcloud: Gcloud, world: RunningControlPlane) -> None:
    world.control.faults.add("rollback-fails")
    failed = gcloud("services", "update-traffic", SERVICE, f"--to-revisions={RETIRED}=100")
    assert failed.returncode == 1
    assert "could not be changed" in failed.stderr
    assert world.control.route(SERVICE) == SERVING


def test_gcloud_reports_a_conflict(gcloud: Gcloud, world: RunningControlPlane) -> None:
    world.control.faults.add("rollback-conflict")
    conflict = gcloud("services", "update-traffic", SERVICE, f"--to-revisions={RETIRED}=100")
    assert conflict.returncode == 1
    assert "Conflict" in conflict.stderr
    assert world.control.route(SERVICE) == SERVING
