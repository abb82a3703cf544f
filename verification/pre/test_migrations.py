"""Database migrations (checklist: "Database migration review", "Database Migration Deployment")."""

import pytest

pytestmark = [
    pytest.mark.pre,
    pytest.mark.role("production"),
    pytest.mark.needs("checkout"),
    pytest.mark.needs("release"),
]


@pytest.mark.needs("migrations")
def test_migrations_have_no_destructive_operations(migration_reading):
    """No migration drops, deletes or overwrites what it should not."""
    migration_reading.destructive.must_be(0)


@pytest.mark.needs("migrations.upgrade")
def test_migrations_are_idempotent(migration_rehearsal):
    """The migrations can be run more than once."""
    migration_rehearsal.repeat.must_be(0)


@pytest.mark.needs("migrations")
def test_migrations_can_be_rolled_back(migration_rehearsal):
    """There is a way back if a migration fails: rehearsed, or written down."""
    migration_rehearsal.way_back.must_be_one_of("restored", "documented")


@pytest.mark.needs("migrations.upgrade")
def test_migrations_are_backward_compatible(migration_rehearsal):
    """The revision that serves now can work with the migrated database."""
    migration_rehearsal.incompatibilities.must_be(0)


@pytest.mark.needs("migrations.backup")
@pytest.mark.profile("migration")
def test_backup_is_restorable(backup_trial):
    """The database is backed up, and the backup can be restored."""
    backup_trial.differences.must_be(0)
