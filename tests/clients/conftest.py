"""A sandbox for the clients' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Start
from verification.local_sandbox.sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session")
def sandbox(start_sandbox: Start) -> Iterator[Sandbox]:
    """One sandbox for all, without users, who would keep a core busy all the while; leave no fault in force."""
    with open_sandbox({"SANDBOX": str(start_sandbox()["operator"])}) as attached:
        yield attached
