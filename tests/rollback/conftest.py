"""A sandbox for the rollback's tests, put right before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.relay import Relay, relay_to
from tests.conftest import program, ready
from tests.rollback.stage import Stage, settings_of
from verification.local_sandbox.sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests of rollbacks; without users, who would keep a core busy all the while."""
    with program() as process, open_sandbox({"SANDBOX": str(ready(process)["operator"])}) as attached:
        yield attached


@pytest.fixture
def stage(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Production, following a deployment after whose creation the request log shows no user, with no fault in force."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Stage(sandbox, settings_of(sandbox), tmp_path)
    made.put_faults()
    made.follow_latest()
    made.release()
    return made


@pytest.fixture
def relay(stage: Stage) -> Iterator[Relay]:
    """A relay between the code under test and Cloud Run."""
    with relay_to(stage.sandbox.addresses.cloud_run.rest) as running:
        stage.through(running.address)
        yield running
