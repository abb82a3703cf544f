"""Whether somebody has written down, or built, the way back for a release's migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from verification.errors import ServiceError
from verification.probes.rollback_plan import NO_MIGRATIONS, plan_for
from verification.settings.migrations import Migrations
from verification.verdict import Measurement

FILE = "migrations/0002_prices.py"


def plan(checkout: Path, files: tuple[str, ...] = (FILE,), **settings: object) -> Measurement:
    return plan_for(files, Migrations.model_validate({"database": "$MONGODB_URL", **settings}), checkout, "git a..b")


def must_be_there(found: Measurement) -> None:
    found.must_be_one_of("documented", "downgrade command", NO_MIGRATIONS)


def test_without_migrations_there_is_nothing_to_take_back(tmp_path: Path) -> None:
    found = plan(tmp_path, files=())
    assert found.value == NO_MIGRATIONS
    must_be_there(found)


def test_a_downgrade_command_is_a_plan(tmp_path: Path) -> None:
    found = plan(tmp_path, upgrade=["migrate"], downgrade=["migrate", "down", "{previous}"])
    must_be_there(found)
    assert "migrate down {previous}" in found.note


def test_a_document_is_a_plan_if_it_names_the_migrations(tmp_path: Path) -> None:
    document = tmp_path / "ROLLBACK.md"
    document.write_text("0002_prices: restore the backup")
    must_be_there(plan(tmp_path, rollback_document="ROLLBACK.md"))
    document.write_text("0001_users: restore the backup")
    with pytest.raises(ServiceError, match="does not name migrations"):
        must_be_there(plan(tmp_path, rollback_document="ROLLBACK.md"))


def test_with_neither_there_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="nothing says how they are taken back") as raised:
        must_be_there(plan(tmp_path))
    assert "rollback_document" in raised.value.remedy
    with pytest.raises(ServiceError, match="nothing says"):
        must_be_there(plan_for((FILE,), None, tmp_path, "git a..b"))


def test_a_document_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be read"):
        must_be_there(plan(tmp_path, rollback_document="ROLLBACK.md"))
