"""What is good enough after a rollback is what is good enough for the role's own criteria."""

from __future__ import annotations

import pytest

from tests.rollback.stage import Stage, with_rollback
from verification.settings.model import Role


@pytest.mark.parametrize(("role", "verified"), [("staging", True), ("production", False)])
def test_a_degraded_service_is_verified_where_its_role_allows_that(role: Role, verified: bool, stage: Stage) -> None:
    stage.release("dependency-slow")
    note = stage.release("login-broken")
    settings = stage.settings.model_copy(update={"roles": [role], "targets": {role: stage.settings.target}})
    stage.settings = with_rollback(settings, verify_within=2.0 if role == "production" else 20.0)
    assert stage.roll_back(stage.plan(note.previous)).verified is verified
    assert stage.serving == {note.previous: 100}
