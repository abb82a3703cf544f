"""Staging (checklist: "Staging Environment Verification"); its smoke criteria are those of `smoke/`."""

import pytest

pytestmark = [pytest.mark.pre, pytest.mark.role("staging")]


@pytest.mark.needs("cloud_run")
@pytest.mark.waived("hotfix")
def test_staging_soaked(serving_revision, limits):
    """What serves staging has run there for a day."""
    serving_revision.age.must_be_at_least(limits.staging_soak / 3600)


@pytest.mark.needs("cloud_run")
@pytest.mark.needs("checkout")
def test_staging_runs_release_candidate(serving_revision, release_candidate):
    """What serves staging is what is to be released."""
    serving_revision.commit.must_be(release_candidate)


@pytest.mark.needs("health.deep")
def test_staging_deep_health(deep_health, healthy_states):
    """Staging is healthy, or degraded at worst."""
    deep_health.field("status").must_be_one_of(*healthy_states)
