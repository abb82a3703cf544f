"""What the suite asks of a sandbox that runs."""

from __future__ import annotations

import pytest

from verification.errors import SettingsError
from verification.local_sandbox.sandbox import Sandbox


def test_faults_are_sorted_by_who_carries_them_whenever_they_begin(sandbox: Sandbox) -> None:
    planted = ["error-rate@8s", "sentry-down@500ms", "unhealthy", "nonsense@8s"]
    assert sandbox.carried_by_revisions(planted) == ("error-rate@8s", "unhealthy")


@pytest.mark.parametrize("fault", ["error-rate@8", "sentry-down@soon"])
def test_a_time_without_unit_is_a_mistake_in_the_command(sandbox: Sandbox, fault: str) -> None:
    with pytest.raises(SettingsError, match="give the time after @ with its unit"):
        sandbox.plant([fault])
