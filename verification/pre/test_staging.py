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
def test_staging_deep_health(deep_health, healthy_states, checks):
    """Staging is healthy, or degraded at worst."""
    checks.must_be_in_state(deep_health, healthy_states)


@pytest.mark.needs("sentry")
def test_staging_error_rate(sentry_review, limits):
    """Fewer than one request in a hundred ended in an error on staging, in the last 24 hours."""
    sentry_review.rate.must_be_below(limits.error_rate * 100)


@pytest.mark.needs("sentry")
def test_staging_has_no_new_error_types(sentry_review):
    """No type of error was seen on staging for the first time in the last 24 hours."""
    sentry_review.new_types.must_be(0)
