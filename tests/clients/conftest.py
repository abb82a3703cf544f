"""A sandbox for the clients' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from verification.local_sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all; leave no fault in force."""
    with open_sandbox({}) as running:
        yield running
