"""What a ticket says of a rollback."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollback.notify.message import Incident
from verification.records.run_record import RollbackOutcome, RollbackResult
from verification.settings.loading import load

SHIPPED = Path(__file__).parents[2] / "deployment.toml"


@pytest.mark.parametrize(
    ("outcome", "moved"),
    [
        (RollbackOutcome.DONE, True),
        (RollbackOutcome.FAILED, False),
        (RollbackOutcome.WITHHELD, False),
        (RollbackOutcome.NOT_NEEDED, False),
    ],
)
def test_a_ticket_says_that_production_went_back_only_where_traffic_moved(
    outcome: RollbackOutcome, moved: bool
) -> None:
    result = RollbackResult(outcome, ("login",), from_revision="bad-1", to_revision="good-1")
    ticket = Incident(load(SHIPPED, "sandbox").settings, result).ticket()
    assert ("Went back to" in ticket) is moved
    assert f"Serves now: `{'good-1' if moved else 'bad-1'}`" in ticket
