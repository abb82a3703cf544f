"""A sandbox for the clients' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import program, ready
from verification.local_sandbox.sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all, without users, who would keep a core busy all the while; leave no fault in force."""
    with program() as process, open_sandbox({"SANDBOX": str(ready(process)["operator"])}) as attached:
        yield attached
